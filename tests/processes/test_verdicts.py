"""Whatever an attempt does becomes one line: its figures, the promise that was not kept, or what is missing here."""

import asyncio
from collections.abc import Callable

import pytest

from tests.processes.lab import NotRunError, ShortError
from tests.processes.verdicts import NOT_RUN, OK, SHORT, attempted

pytestmark = pytest.mark.unit


def _raises(fault: BaseException) -> Callable[[], None]:
    def raising() -> None:
        raise fault

    return raising


@pytest.mark.parametrize(
    ("fault", "verdict", "words"),
    [
        (ShortError("2 lost"), SHORT, "2 lost"),
        (NotRunError("no QEMU"), NOT_RUN, "no QEMU"),
        (BaseExceptionGroup("", [KeyError("x"), ExceptionGroup("", [ShortError("2 lost")])]), SHORT, "2 lost"),
        (ValueError("7"), SHORT, "ValueError: 7 (test_verdicts.py:"),
    ],
)
async def test_fault_becomes_its_verdict(fault: BaseException, verdict: str, words: str) -> None:
    async def attempt() -> str:
        _raises(fault)()
        return "never"

    ending = await attempted(attempt(), within_s=5)
    assert ending.verdict == verdict
    assert ending.words.startswith(words)


async def test_figures_are_told_where_all_was_kept() -> None:
    async def attempt() -> str:
        return "8 of 8"

    ending = await attempted(attempt(), within_s=5)
    assert (ending.verdict, ending.row("head", indent=4, at_most=5)) == (OK, "head\n    8 of")


async def test_what_takes_too_long_is_short() -> None:
    async def attempt() -> str:
        await asyncio.get_running_loop().create_future()
        return "never"

    assert (await attempted(attempt(), within_s=0.01)).verdict == SHORT


async def test_a_request_to_stop_is_no_verdict() -> None:
    async def attempt() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await attempted(attempt(), within_s=5)
