"""What the device keeps: the journal of events, which is precious, and the directory, which can be fetched again.

Each is a file of its own, so that one corrupt file never costs the other.
"""
