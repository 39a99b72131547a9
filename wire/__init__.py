"""The messages that agent and central exchange, and the rules both sides share.

Everything here is pure: values in, values out, no I/O, no clock, no randomness. Both sides import
it, and it knows neither of them.
"""
