"""Who may pass: rules, calendars and what goes with them, the same for the door that decides and for central.

Pure: facts in, a decision out. No I/O, no clock, no randomness, no asyncio, no logging; only `rules.calendar`
and `rules.recurrence` know dates.
"""
