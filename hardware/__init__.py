"""Drivers behind small protocols: readers and outputs, each kind with a real and a simulated implementation.

This package imports nothing else of Doorstile. Start at ``hardware.base`` for the protocols, ``hardware.profiles`` for
the file that names every driver and line, and ``hardware.factory`` for the one place that constructs them.
"""
