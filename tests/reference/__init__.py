"""A second opinion on who may pass, written from the published rules without a look at the package `rules`.

`python -m tests.reference N` makes N random cases and compares; `judging` imports nothing but the words and the structs
of `wire`.
"""
