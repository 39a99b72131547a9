"""The table of the device test: what is tried on which device, how much of it, and how each case ended."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from tests.device.door import Bench
from tests.device.guest import GuestError
from tests.device.qemu import MonitorError
from tests.processes.verdicts import NAMED, Ending, attempted

_CASE_WITHIN_S: Final = 6 * 3600.0
_NAMED: Final = (*NAMED, GuestError, MonitorError)


@dataclass(frozen=True, slots=True)
class Scale:
    """How often each thing is done. The defaults fit the short form into its time; `LONG` is what a release needs."""

    restarts: int = 3
    crashes: int = 3
    greens: int = 12
    cuts: int = 50
    codes: int = 10
    replugs: int = 10
    pulls: int = 2


LONG: Final = Scale(restarts=200, crashes=50, greens=100, cuts=200, codes=500, replugs=100, pulls=50)

Attempt = Callable[[Bench, Scale], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table; the attempt returns its figures, or raises ShortError."""

    id: str
    device: str
    promise: str
    attempt: Attempt


class Table:
    """Cases in the order in which they were written down."""

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def case(self, id_: str, device: str, promise: str) -> Callable[[Attempt], Attempt]:
        """Add the attempt that follows."""

        def add(attempt: Attempt) -> Attempt:
            self.cases.append(Case(id_, device, promise, attempt))
            return attempt

        return add


@dataclass(frozen=True, slots=True)
class Result:
    """How a case ended."""

    case: Case
    ending: Ending

    def text(self) -> str:
        """Return the row for people."""
        case, ending = self.case, self.ending
        head = f"{case.id:<10} {ending.verdict:<8}{ending.seconds:7.1f} s  {case.device} | {case.promise}"
        return ending.row(head, indent=30, at_most=900)


async def run_case(case: Case, bench: Bench, scale: Scale) -> Result:
    """Run one case; whatever happens becomes its result."""
    return Result(case, await attempted(case.attempt(bench, scale), within_s=_CASE_WITHIN_S, named=_NAMED))
