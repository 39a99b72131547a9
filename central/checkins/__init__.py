"""The ledger: every event that a device acknowledged to us, and what follows from the whole of them.

`ingest` keeps events and acknowledges them, `visits` derives who was in from the set of them, `stats` counts.
"""
