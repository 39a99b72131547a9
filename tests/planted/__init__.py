"""Bugs that the tests plant to show that the harnesses bite, and the faults that the harnesses cover."""
