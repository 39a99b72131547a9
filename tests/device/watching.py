"""Drivers alone in the guest, seen from the host: what readers and inputs told, in order."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.device.guest import Guest
from tests.processes.lab import ShortError, need

_SOURCE: Final = Path(__file__).with_name("watcher.py").read_bytes()
_OUT: Final = "/run/watcher/out"
_POLL_S: Final = 0.1
_DEAF_S: Final = 1.0
_QUIET_S: Final = 2.0

Told = dict[str, Any]


class Watching:
    """A running watcher. `told` grows with `look`."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.told: list[Told] = []

    @classmethod
    async def start(cls, guest: Guest, profile: str) -> "Watching":
        """Run the drivers of a profile as the agent's user, with the groups and the view of the board of its unit."""
        await guest.put("/etc/doorstile/door.toml", profile)
        await guest.put("/opt/watcher.py", _SOURCE)
        await guest.sh(
            "systemd-run --quiet --unit=watcher --uid=doorstile --property=SupplementaryGroups='gpio input' "
            "--property=RuntimeDirectory=watcher --property=BindReadOnlyPaths=/run/board-cpuinfo:/proc/cpuinfo "
            "--setenv=LG_WD=/run/watcher --working-directory=/run/watcher "
            f"/opt/doorstile/bin/python /opt/watcher.py /etc/doorstile/door.toml {_OUT}"
        )
        watching = cls(guest)
        await guest.until(f"test -s {_OUT}", within_s=60)
        return watching

    async def look(self) -> list[Told]:
        """Return what was told since the last look."""
        lines = (await self._guest.get(_OUT)).decode().splitlines()
        new = [json.loads(line) for line in lines[len(self.told) :]]
        self.told += new
        return new

    async def until(self, holds: Callable[[list[Told]], bool], what: str, *, within_s: float = 20.0) -> list[Told]:
        """Look until what was told since now holds; return it. Raise ShortError."""
        found: list[Told] = []
        try:
            async with asyncio.timeout(within_s):
                while True:
                    found += await self.look()
                    if holds(found):
                        return found
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise ShortError(f"{what} not within {within_s:g} s; told: {found[-5:]}") from None

    async def quiet(self) -> None:
        """Look until nothing was told for a while."""
        while True:
            await asyncio.sleep(_QUIET_S)
            if not await self.look():
                return

    async def read(self, count: int) -> None:
        """Wait until so many codes were read since the start; raise ShortError where one was spoilt."""
        while (told := len(scans(self.told))) < count:
            reported = [fault for fault in faults(self.told) if fault.startswith(("flood", "garbled", "oversize"))]
            need(not reported, f"{told} of {count} codes read; reported: {reported[:3]}")
            await self.until(lambda found: bool(found), f"{count} codes, {told} read, {faults(self.told)[-3:]}")

    async def ready(self) -> None:
        """Wait until every reader reads: a while after it was found, as what came before may be half a code."""
        await self.look()
        last: list[str] = next((told["states"] for told in reversed(self.told) if "states" in told), [])
        if set(last) != {"ready"}:
            await self.until(lambda found: any(set(it.get("states", [""])) == {"ready"} for it in found), "ready")
        await asyncio.sleep(_DEAF_S)


def scans(told: list[Told]) -> list[str]:
    """Return the codes that were read."""
    return [str(each["scan"]) for each in told if "scan" in each]


def faults(told: list[Told]) -> list[str]:
    """Return what readers reported instead."""
    return [f"{each['fault']}: {each['detail']}" for each in told if "fault" in each]
