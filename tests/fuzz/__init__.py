"""Hostile bytes for everything that reads what somebody else wrote: `python -m tests.fuzz TARGET --seconds N`.

A target takes bytes and returns, whatever they are, or raises ViolationError: only the documented exceptions come out
of the product, nothing hangs, memory stays bounded, and nothing is granted. Interesting inputs are kept in
`corpus/<target>/` and replayed by the default suite.
"""
