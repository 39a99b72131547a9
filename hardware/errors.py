"""What can go wrong with hardware, seen from the caller."""


class HardwareError(Exception):
    """A driver could not do what it was asked. The message names the thing, the value and the remedy."""


class ProfileError(HardwareError):
    """A profile that must not drive a door: unreadable, ill-typed, or unsafe as wired."""


class PulseRefusedError(HardwareError):
    """A pulse was not started: the strike is busy, out of bounds, closed, or its line is stuck. The line stayed off."""
