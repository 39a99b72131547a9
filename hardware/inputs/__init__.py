"""Drivers for what a door tells: contacts, buttons, sensors."""
