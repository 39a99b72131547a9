"""Drivers for what a door does: let through, shine, sound."""
