"""How provisioning fails: each failure has a cause, one command to try, and an exit code."""

from enum import IntEnum

from wire.errors import DoorstileError


class ExitCode(IntEnum):
    """What the process tells the shell."""

    OK = 0
    USAGE = 2
    NETWORK = 3
    REFUSED = 4
    HARDWARE = 5
    CLOCK = 6


class ProvisioningError(DoorstileError):
    """A step failed; `remedy` is one command, or one thing to do."""

    def __init__(self, exit_code: ExitCode, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.exit_code = exit_code
        self.remedy = remedy
