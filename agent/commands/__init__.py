"""The verbs of `doorstile` that concern a running device, one module each."""
