"""Drivers for what a door reads."""
