"""How an attempt ended: `ok` with its figures, `short` with what was not kept, `not run` with what is missing here."""

import asyncio
import textwrap
import traceback
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Final

from tests.processes.lab import NotRunError, ShortError

OK, SHORT, NOT_RUN = "ok", "short", "not run"
NAMED: Final[tuple[type[BaseException], ...]] = (ShortError, NotRunError)
"""What says by itself what happened; anything else is told with its place."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The verdict, its words, and how long it took."""

    verdict: str
    words: str
    seconds: float

    def row(self, head: str, *, indent: int, at_most: int) -> str:
        """Return the row of a table under its head; the words are cut where they are too many."""
        if not self.words:
            return head
        return head + "\n" + textwrap.indent(textwrap.fill(self.words[:at_most], 110), " " * indent)


async def attempted(
    attempt: Awaitable[str | None], *, within_s: float, named: tuple[type[BaseException], ...] = NAMED
) -> Ending:
    """Wait for an attempt; whatever happens becomes its ending. `named` go before what broke because of them."""
    began = monotonic()
    try:
        async with asyncio.timeout(within_s):
            words = await attempt or ""
    except BaseException as fault:  # a supervising loop: one attempt must not end the table
        leaf = _leaf(fault, named)
        if isinstance(leaf, KeyboardInterrupt | asyncio.CancelledError):
            raise
        return Ending(*_verdict_of(leaf), monotonic() - began)
    return Ending(OK, words, monotonic() - began)


def _leaf(fault: BaseException, named: tuple[type[BaseException], ...]) -> BaseException:
    """Return what is inside groups of one task's failure."""
    while isinstance(fault, BaseExceptionGroup):
        first = [each for each in fault.exceptions if isinstance(_leaf(each, named), named)]
        fault = (first or list(fault.exceptions))[0]
    return fault


def _verdict_of(fault: BaseException) -> tuple[str, str]:
    if isinstance(fault, NotRunError):
        return NOT_RUN, str(fault)
    if isinstance(fault, ShortError):
        return SHORT, str(fault)
    where = traceback.extract_tb(fault.__traceback__)[-1]
    return SHORT, f"{type(fault).__name__}: {fault} ({Path(where.filename).name}:{where.lineno})"
