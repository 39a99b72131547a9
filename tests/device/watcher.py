"""Runs what a profile names in the guest, without an agent, and writes down what it tells.

`python watcher.py PROFILE OUT`, by the agent's own Python and as its user: what a reader yields is compared byte for
byte, which the agent's journal could not show, as it holds no codes.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any, TextIO

import msgspec

from hardware.base import Hardware, InputChange, ReaderEvent, ReaderFault, Scan
from hardware.factory import build
from hardware.profiles import load_profile

_LOOK_S = 0.05


class Writer:
    """Writes a line for each thing."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def reader(self, event: ReaderEvent) -> None:
        """A reader told something; that a card was lifted says nothing here."""
        if isinstance(event, Scan):
            self.write(scan=event.data.decode(errors="replace"))
        elif isinstance(event, ReaderFault):
            self.write(fault=event.reason, detail=event.detail)

    def change(self, event: InputChange) -> None:
        """An input told something."""
        self.write(input=event.input, is_active=event.is_active, at_ms=event.at_mono_ms)

    def write(self, **words: Any) -> None:
        """Write one line whole."""
        self._out.write(msgspec.json.encode(words).decode() + "\n")
        self._out.flush()


async def _tell_states(hardware: Hardware, writer: Writer) -> None:
    shown: list[str] = []
    while True:
        states = [str(reader.state) for reader in hardware.readers]
        if states != shown:
            shown = states
            writer.write(states=states)
        await asyncio.sleep(_LOOK_S)


async def watch(profile: Path, out: TextIO) -> None:
    """Run until cancelled."""
    hardware, writer = build(load_profile(profile)), Writer(out)
    async with asyncio.TaskGroup() as tasks:
        for reader in hardware.readers:
            tasks.create_task(reader.run(writer.reader))
        for each in hardware.inputs:
            tasks.create_task(each.run(writer.change))
        tasks.create_task(_tell_states(hardware, writer))


if __name__ == "__main__":
    with Path(sys.argv[2]).open("w", encoding="utf-8") as file:
        asyncio.run(watch(Path(sys.argv[1]), file))
