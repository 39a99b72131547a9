"""Pins: one explicitly named factory of gpiozero for all lines of a door."""
