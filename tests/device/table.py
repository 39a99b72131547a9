"""The table of the device test: what is tried on which device, how much of it, and how each case ended."""

import asyncio
import textwrap
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from tests.device.door import Bench
from tests.device.guest import GuestError
from tests.device.qemu import MonitorError
from tests.processes.lab import NotRunError, ShortError

OK, SHORT, NOT_RUN = "ok", "short", "not run"
_CASE_WITHIN_S: Final = 6 * 3600.0
_NAMED: Final = (ShortError, NotRunError, GuestError, MonitorError)


@dataclass(frozen=True, slots=True)
class Scale:
    """How often each thing is done. The defaults fit the short form into its time; `LONG` is what a release needs."""

    restarts: int = 3
    crashes: int = 3
    greens: int = 12
    cuts: int = 50
    codes: int = 10
    replugs: int = 10


LONG: Final = Scale(restarts=200, crashes=50, greens=100, cuts=200, codes=500, replugs=100)

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
    """How a case ended, and in which words."""

    case: Case
    verdict: str
    words: str
    seconds: float

    def text(self) -> str:
        """Return the row for people."""
        head = f"{self.case.id:<10} {self.verdict:<8}{self.seconds:7.1f} s  {self.case.device} | {self.case.promise}"
        if not self.words:
            return head
        return head + "\n" + textwrap.indent(textwrap.fill(self.words[:900], 110), " " * 30)


async def run_case(case: Case, bench: Bench, scale: Scale) -> Result:
    """Run one case; whatever happens becomes its result."""
    began = monotonic()
    try:
        async with asyncio.timeout(_CASE_WITHIN_S):
            words = await case.attempt(bench, scale)
    except BaseException as fault:  # a supervising loop: one case must not end the table
        leaf = _leaf(fault)
        if isinstance(leaf, KeyboardInterrupt | asyncio.CancelledError):
            raise
        return Result(case, *_verdict_of(leaf), monotonic() - began)
    return Result(case, OK, words, monotonic() - began)


def _leaf(fault: BaseException) -> BaseException:
    """Return what is inside groups of one task's failure; the promise before whatever broke because of it."""
    while isinstance(fault, BaseExceptionGroup):
        named = [each for each in fault.exceptions if isinstance(_leaf(each), _NAMED)]
        fault = (named or list(fault.exceptions))[0]
    return fault


def _verdict_of(fault: BaseException) -> tuple[str, str]:
    if isinstance(fault, NotRunError):
        return NOT_RUN, str(fault)
    if isinstance(fault, ShortError):
        return SHORT, str(fault)
    where = traceback.extract_tb(fault.__traceback__)[-1]
    return SHORT, f"{type(fault).__name__}: {fault} ({Path(where.filename).name}:{where.lineno})"
