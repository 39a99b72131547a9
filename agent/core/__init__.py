"""The pure heart of the agent: facts in, decisions and effects out.

No I/O, no clock, no randomness, no asyncio, no logging. Time is an argument, a wait is a value.
"""
