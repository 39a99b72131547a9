"""The real link between a real journal and a real central: restarts, cuts, a backup that is older than the device."""

import asyncio
import contextlib
import json
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from agent.clock import Clock, SystemTime, boot_id
from agent.identity import Identity, load_identity
from agent.store.directory import Directory
from agent.store.journal import Draft, Journal
from agent.sync.connect import Endpoint
from agent.sync.runner import Link
from provisioning.join import join
from tests.fakes.link_parts import RecordingCommands
from tests.services.central import RunningCentral, running_central
from wire.chain import unsplice
from wire.events import AlarmBody, Stamp
from wire.vocabulary import ClockQuality, EventKind

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(120)]


@dataclass(slots=True)
class Device:
    """One process of the agent, without a door."""

    journal: Journal
    directory: Directory
    link: Link

    async def record(self, count: int) -> None:
        at = Stamp(boot_id(), 1_000, 1_800_000_000_000, ClockQuality.SYNCED)
        drafts = [Draft(EventKind.ALARM, at, AlarmBody(code="test", detail=str(i))) for i in range(count)]
        for first in range(0, count, 500):
            await self.journal.append_many(drafts[first : first + 500])

    async def drained(self, *, within_s: float = 40.0) -> None:
        async with asyncio.timeout(within_s):
            while self.journal.backlog().events:
                await asyncio.sleep(0.01)

    async def digests(self) -> dict[tuple[str, int], str]:
        """Return what the journal holds, whether acknowledged or not."""
        held: dict[tuple[str, int], str] = {}
        for run in self.journal.held():
            after = 0
            while items := await self.journal.read(run.run, after, 500, 1 << 20):
                for item in items:
                    parts = unsplice(item.data)
                    assert parts is not None
                    held[run.run, item.n] = parts[0].hex()
                after = items[-1].n
        return held


@contextlib.asynccontextmanager
async def device(folder: Path) -> AsyncIterator[Device]:
    identity = load_identity(folder)
    journal, directory = Journal.open(folder, device=identity.device), Directory.open(folder)
    link = Link(
        Endpoint(identity.central),
        identity,
        outbox=journal,
        directory=directory,
        commands=RecordingCommands(),
        clock=Clock(SystemTime(), boot=boot_id()),
        random=Random(1),
        agent="test",
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(link.run(tasks))
            try:
                yield Device(journal, directory, link)
            finally:
                running.cancel()
    finally:
        await directory.close()
        await journal.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def joined(folder: Path, port: int) -> Iterator[RunningCentral]:
    """Run central and let the device in `folder` join it."""
    with running_central(folder / "central", port=port) as central:
        options = ["--central", central.url, "--code", central.enrolment_code(), "--state", str(folder / "agent")]
        result = CliRunner().invoke(join, [*options, "--yes"])
        assert result.exit_code == 0, result.output
        yield central


def ledger(central: RunningCentral, identity: Identity) -> dict[tuple[str, int], str]:
    """Return what central holds; fail where it holds an event twice."""
    told: Any = json.loads(central.manage("ledger", "--device", identity.device, "--json"))
    rows = [((each["run"], each["n"]), each["digest"]) for each in told["events"]]
    assert len(dict(rows)) == len(rows)
    return dict(rows)


async def test_both_sides_agree_after_cuts_restarts_and_new_runs(tmp_path: Path) -> None:
    port = _free_port()
    with joined(tmp_path, port):
        async with device(tmp_path / "agent") as first:
            await first.record(1_500)
            await asyncio.sleep(0.2)
            first.link.gate.cut()
            await first.record(50)
            first.link.gate.heal()
            await asyncio.sleep(0.3)
    async with device(tmp_path / "agent") as second:
        await second.record(700)
        with running_central(tmp_path / "central", port=port) as central:
            await asyncio.sleep(0.8)
            central.process.kill()
            central.process.wait(10)
        await second.record(300)
        with running_central(tmp_path / "central", port=port) as central:
            await second.drained()
            held = await asyncio.to_thread(ledger, central, load_identity(tmp_path / "agent"))
            assert held == await second.digests()
            assert len(held) == 2_550


async def test_central_restored_from_a_backup_gets_everything_again(tmp_path: Path) -> None:
    port, folder, backup = _free_port(), tmp_path / "agent", tmp_path / "backup"
    with joined(tmp_path, port) as central:
        async with device(folder) as first:
            await first.record(40)
            await first.drained()
        central.stop()
    shutil.copytree(tmp_path / "central", backup)
    with running_central(tmp_path / "central", port=port) as central:
        for count in (30, 20):
            async with device(folder) as later:
                await later.record(count)
                await later.drained()
        central.stop()
    shutil.rmtree(tmp_path / "central")
    shutil.copytree(backup, tmp_path / "central")
    with running_central(tmp_path / "central", port=port) as central:
        async with device(folder) as last:
            await last.record(10)
            expected = await last.digests()
            identity = load_identity(folder)
            async with asyncio.timeout(30.0):
                while (held := await asyncio.to_thread(ledger, central, identity)) != expected:
                    await asyncio.sleep(0.1)
            assert len(held) == 100
            await last.drained()
