"""How a directory of 100,000 members reaches a door, and what it costs there: a real central, a real agent, loopback.

- first sync: from the moment when central welcomed a door without a directory until the door decides from it;
- delta: from the moment when central answered the member of staff who saved a change until the door decides by it,
  found by taps, one every few milliseconds;
- look-up: one credential in the door's files, in this process, with changes beside the snapshot;
- memory: the agent's resident set (VmRSS) after a sync and the deltas.
"""

import asyncio
import random
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Final

from agent.store.directory import Directory
from bench.doors import CREDENTIAL_KEY, fill_directory, uid
from bench.measure import (
    Options,
    Target,
    conclude,
    median,
    print_table,
    quantile,
    read_options,
    say_calibration,
    work_folder,
)
from demo.processes import manage, output_of, stop
from demo.world import Setup, World, world
from wire.credentials import credential_key
from wire.vocabulary import CredentialKind

MEMBERS: Final = 100_000
MANY: Final = 1_000_000
FEW: Final = 2_000
SYNC_LIMIT_S: Final = 10.0
DELTA_LIMIT_S: Final = 1.0
LOOKUP_LIMIT_MS: Final = 0.2
RSS_LIMIT_MIB: Final = 60.0
_CONFIG: Final = "[door]\nhold_off_s = 0.01\n"
_LOOKUPS: Final = 20_000
_DELTAS: Final = 5
_POLL_S: Final = 0.01
_WITHIN_S: Final = 120.0
_CROWD_WITHIN_S: Final = 900.0
_RSS: Final = re.compile(r"VmRSS:\s+(\d+) kB")


class Scene:
    """A central with many members and a door beside it; `changed` counts the cards that were revoked so far."""

    def __init__(self, built: World) -> None:
        self._world = built
        self._changed = 0

    async def first_sync(self) -> float:
        """Take the door's directory away and start it; return the seconds from its welcome to its first decision."""
        await self._stop()
        for name in ("directory.db", "directory-changes.db"):
            (self._world.state / name).unlink(missing_ok=True)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._world.start_agent())
            began = await self._when("link", "up")
            return await self._when("members", "yes") - began

    async def delta(self) -> float:
        """Revoke a card by central's administration; return the seconds until the door turns it away."""
        number, self._changed = self._changed, self._changed + 1
        code = f"from bench.crowd import credential_id; print(credential_id({number}))"
        printed = await output_of(manage("shell", "-v0", "-c", code), env=self._world.central_env)
        await self._until(number, "granted_in")
        await self._world.staff.revoke(printed.decode().strip())
        began = time.perf_counter()
        await self._until(number, "denied")
        return time.perf_counter() - began

    async def _until(self, number: int, screen: str) -> None:
        async with asyncio.timeout(_WITHIN_S):
            while True:
                if await self._answer(number) == screen:
                    return

    def rss_mib(self) -> float:
        """Return the agent's resident set."""
        assert self._world.agent is not None
        found = _RSS.search(Path(f"/proc/{self._world.agent.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    async def _answer(self, number: int) -> str:
        """Tap a member's card; return what the door shows a moment later, which may still be the tap before."""
        await self._world.sim("tap", uid=uid(number).hex(), reader="in")
        await asyncio.sleep(_POLL_S)
        return (await self._world.door())["screen"]

    async def _when(self, name: str, value: str) -> float:
        async with asyncio.timeout(_WITHIN_S):
            while True:
                try:
                    if (await self._world.door()).get(name) == value:
                        return time.perf_counter()
                except OSError:
                    pass  # the agent is on its way
                await asyncio.sleep(_POLL_S)

    async def _stop(self) -> None:
        assert self._world.agent is not None
        await stop(self._world.agent)


async def measure(folder: Path, options: Options) -> dict[str, list[float]]:
    """Let central know many members, and a door fetch them anew in each round and follow some changes."""
    members = FEW if options.is_quick else MEMBERS
    (folder / "door.toml").write_text(_CONFIG)
    agent_options = ("--profile", "simulated", "--config", str(folder / "door.toml"))
    async with world(folder, Setup(agent_options=agent_options)) as built:
        code = f"from bench.crowd import crowd; crowd({members})"
        await output_of(manage("shell", "-v0", "-c", code), env=built.central_env, timeout_s=_CROWD_WITHIN_S)
        scene = Scene(built)
        figures: dict[str, list[float]] = {"sync": [], "delta": [], "rss": []}
        for _ in range(options.rounds):
            figures["sync"].append(await scene.first_sync())
            figures["delta"] += [await scene.delta() for _ in range(1 if options.is_quick else _DELTAS)]
            figures["rss"].append(scene.rss_mib())
    return figures


async def lookups_ms(folder: Path, members: int) -> list[float]:
    """Return how long look-ups took in a directory of so many members, half of them of strangers."""
    await fill_directory(folder, members)
    chance, took = random.Random(members), []
    directory = Directory.open(folder)
    try:
        for number in range(_LOOKUPS):
            card = uid(chance.randrange(members) if number % 2 else members + number)
            key = credential_key(CREDENTIAL_KEY, CredentialKind.HF_UID, card)
            began = time.perf_counter()
            directory.find(key)
            took.append((time.perf_counter() - began) * 1000)
    finally:
        await directory.close()
    shutil.rmtree(folder)
    return took


def judge(figures: dict[str, list[float]]) -> list[Target]:
    """Return the targets."""
    targets = [
        Target("directory_first_sync_s", median(figures["sync"]), SYNC_LIMIT_S),
        Target("directory_delta_s", median(figures["delta"]), DELTA_LIMIT_S),
        Target("directory_lookup_p99_ms", quantile(figures["lookup"], 0.99), LOOKUP_LIMIT_MS),
        Target("directory_rss_mib", median(figures["rss"]), RSS_LIMIT_MIB),
    ]
    if "lookup_many" in figures:
        targets.append(Target("directory_lookup_1m_p99_ms", quantile(figures["lookup_many"], 0.99), LOOKUP_LIMIT_MS))
    return targets


def show(figures: dict[str, list[float]], members: int) -> None:
    """Print what was measured."""
    words = {
        "sync": f"first sync of {members}, s",
        "delta": "saved until decided by, s",
        "lookup": f"look-up among {members}, ms",
        "lookup_many": f"look-up among {MANY}, ms",
        "rss": "agent's memory, MiB",
    }
    rows = [(words[name], median(took), quantile(took, 0.99), max(took)) for name, took in figures.items()]
    print_table(("", "p50", "p99", "max"), rows)


def main() -> int:
    """Measure, print, judge."""
    options = read_options(__doc__ or "")
    members = FEW if options.is_quick else MEMBERS
    with work_folder(options) as folder:
        say_calibration(folder)
        figures = asyncio.run(measure(folder, options))
        figures["lookup"] = asyncio.run(lookups_ms(folder / "lookup", members))
        if not options.is_quick:
            figures["lookup_many"] = asyncio.run(lookups_ms(folder / "many", MANY))
    show(figures, members)
    return conclude(judge(figures), options)


if __name__ == "__main__":
    sys.exit(main())
