"""Twelve formats of credentials at five kinds of doors: enrolled once, each opens wherever it can be read."""
