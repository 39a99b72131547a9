"""The program at the door: read, decide, record, act, show, sync."""

__version__ = "0.1.0"
