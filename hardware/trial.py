"""Trying hardware out, apart from any agent: watch what readers and inputs say, wait for a read, see both edges."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from hardware.base import Emit, EmitChange, Hardware, InputChange, Medium, ReaderEvent, Scan, Signal, Tone

_SHOWN_HEAD: Final = 2


def masked(scan: Scan) -> str:
    """Return a read as it may be shown on a screen: enough to tell two cards apart, too little to copy one."""
    if scan.medium is Medium.QR:
        return f"{scan.data[:_SHOWN_HEAD].decode(errors='replace')}… {len(scan.data)} characters"
    shown = [f"{byte:02X}" for byte in scan.data]
    is_long = len(shown) > 2 * _SHOWN_HEAD
    head, tail = (_SHOWN_HEAD, 1) if is_long else (1, 0)
    return " ".join([*shown[:head], *["**"] * (len(shown) - head - tail), *shown[len(shown) - tail :]])


@asynccontextmanager
async def sensing(hardware: Hardware, on_read: Emit, on_change: EmitChange) -> AsyncIterator[None]:
    """Run every reader and input for as long as this is entered."""
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(reader.run(on_read)) for reader in hardware.readers]
        running += [tasks.create_task(part.run(on_change)) for part in hardware.inputs]
        try:
            yield
        finally:
            for task in running:
                task.cancel()


async def first_read(
    hardware: Hardware, reader: str | None, *, timeout_s: float, heard: Emit = lambda event: None
) -> Scan | None:
    """Return the first read of a reader (of any, where none is named); None when the time is up.

    ``heard`` is called with every event, faults among them.
    """
    first: asyncio.Future[Scan] = asyncio.get_running_loop().create_future()

    def listen(event: ReaderEvent) -> None:
        heard(event)
        is_meant = reader is None or event.reader.partition(".")[0] == reader
        if isinstance(event, Scan) and is_meant and not first.done():
            first.set_result(event)

    async with sensing(hardware, listen, lambda change: None):
        try:
            return await asyncio.wait_for(first, timeout_s)
        except TimeoutError:
            return None


async def both_edges(
    hardware: Hardware, names: Iterable[str], *, timeout_s: float, heard: EmitChange = lambda change: None
) -> Mapping[str, frozenset[bool]]:
    """Return which changes each input was seen to make, once all made both or when the time is up.

    The state found at the start is no change.
    """
    seen: dict[str, set[bool]] = {name: set() for name in names}
    started: set[str] = set()
    is_complete = asyncio.Event()

    def listen(change: InputChange) -> None:
        heard(change)
        if change.input in started and change.input in seen:
            seen[change.input].add(change.is_active)
            if all(len(edges) == 2 for edges in seen.values()):
                is_complete.set()
        started.add(change.input)

    async with sensing(hardware, lambda event: None, listen):
        with suppress(TimeoutError):
            await asyncio.wait_for(is_complete.wait(), timeout_s)
    return {name: frozenset(edges) for name, edges in seen.items()}


async def parade(hardware: Hardware, *, each_s: float, announce: Callable[[str], None]) -> None:
    """Show every signal and play every tone, one after the other, and say which; dark at the end."""
    for signal in Signal:
        announce(f"light {signal}")
        hardware.light.show(signal)
        if hardware.display is not None:
            hardware.display.show("Light", signal)
        await asyncio.sleep(each_s)
    hardware.light.show(Signal.OFF)
    for tone in Tone:
        announce(f"buzzer {tone}")
        hardware.buzzer.play(tone)
        if hardware.display is not None:
            hardware.display.show("Buzzer", tone)
        await asyncio.sleep(each_s)


Report = Callable[[ReaderEvent | InputChange], None]


async def watch(hardware: Hardware, report: Report, *, for_s: float | None) -> None:
    """Report every event, for a while or until cancelled."""
    async with sensing(hardware, report, report):
        if for_s is None:
            await asyncio.get_running_loop().create_future()
        else:
            await asyncio.sleep(for_s)
