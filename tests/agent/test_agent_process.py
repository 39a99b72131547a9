"""The agent as a process, worked by `doorstile sim`, with nobody at central's address."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Raw
from msgspec.structs import replace

from agent.identity import Identity, save_identity
from agent.store.directory import Directory
from agent.store.inspect import inspect
from agent.store.journal import Journal
from demo.processes import DemoError, doorstile, output_of, running, stop
from demo.world import free_port
from provisioning.keys import private_pem
from tests.fakes.issuing import begin_of, chunk_of, delta_of, issued
from wire.book import Site, item_text
from wire.credentials import credential_key
from wire.rows import DirectoryRow
from wire.transfer import BookEntry, DirEnd
from wire.vocabulary import CredentialKind

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]


CARD = "04A1B2C3"
DEVICE = "0193a1b2-0000-7000-8000-000000000001"


def enrol(folder: Path) -> None:
    identity = Identity(
        device=DEVICE,
        central=f"http://127.0.0.1:{free_port()}",
        audience="test",
        kid="k1",
        private_key=private_pem(Ed25519PrivateKey.generate()),
        credential_key="00" * 32,
        name="North",
        site="Harbour Gym",
        time_zone="UTC",
    )
    save_identity(folder, identity)


@asynccontextmanager
async def running_agent(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    enrol(tmp_path)
    words = ("run", "--state", str(tmp_path), "--profile", "simulated", "--kiosk-port", "0")
    async with running("agent", doorstile(*words), tmp_path) as process:
        while not (tmp_path / "control.sock").exists():
            assert process.returncode is None, (tmp_path / "agent.log").read_text()
            await asyncio.sleep(0.05)
        yield process


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    async with running_agent(tmp_path) as process:
        yield process


async def sim(folder: Path, *words: str) -> str:
    return (await output_of(doorstile("sim", "--state", str(folder), *words))).decode()


async def recorded(folder: Path) -> str:
    return (await output_of(doorstile("journal", "--state", str(folder), "tail"))).decode()


async def test_every_verb_of_sim_reaches_the_running_agent(agent: asyncio.subprocess.Process, tmp_path: Path) -> None:
    assert "screen     idle" in await sim(tmp_path, "status")
    for words, said in (
        (("tap", "04A1B2C3"), "denied: no_directory"),
        (("qr", "day pass", "--reader", "out"), "denied: no_directory"),
        (("reader", "torn"), "not read: torn_read"),
        (("reader", "unplug"), "alarm: reader_missing"),
        (("reader", "replug"), "alarm: reader_back"),
        (("link", "cut"), "link: cut"),
        (("link", "heal"), "link: let through"),
        (("clock", "--shift-s", "-60", "--synced", "no"), "UTC, not synchronised"),
        (("clock",), "clock: "),
        (("rex",), "door: exit_request"),
        (("open",), "door: opened"),
        (("close",), "door: closed"),
        (("tamper", "on"), "alarm: tamper"),
        (("assist",), "alarm: assist"),
        (("walk", "off"), "visitors walk through: off"),
        (("fire", "on"), "alarm: fire"),
        (("fire", "off"), "alarm: fire_input_over"),
    ):
        assert said in await sim(tmp_path, *words)
    await sim(tmp_path, "tap", "04A1B2C4")
    assert "the same again so soon is one presentation" in await sim(tmp_path, "tap", "04A1B2C4")
    with pytest.raises(DemoError, match="no reader 'roof'"):
        await sim(tmp_path, "tap", "04A1B2C3", "--reader", "roof")
    with pytest.raises(DemoError, match="no simulated input 'passage_in'"):
        await sim(tmp_path, "turn", "in")
    events = await recorded(tmp_path)
    assert "kind=hf_uid" in events
    assert "kind=qr_static" in events
    assert "fault=torn_read" in events
    assert "code=reader_missing" in events


async def test_kill_is_a_kill_and_the_journal_is_sound_after_it(
    agent: asyncio.subprocess.Process, tmp_path: Path
) -> None:
    await sim(tmp_path, "tap", "04A1B2C3")
    assert await sim(tmp_path, "kill") == ""
    assert await agent.wait() == -signal.SIGKILL
    with inspect(tmp_path) as journal:
        assert journal.verify().is_sound


async def test_a_request_to_end_ends_the_agent_cleanly(agent: asyncio.subprocess.Process, tmp_path: Path) -> None:
    await stop(agent)
    assert agent.returncode == 0, (tmp_path / "agent.log").read_text()
    assert not (tmp_path / "control.sock").exists()


async def test_a_second_agent_on_the_same_folder_is_refused_by_name(
    agent: asyncio.subprocess.Process, tmp_path: Path
) -> None:
    words = ("run", "--state", str(tmp_path), "--profile", "simulated", "--kiosk-port", "0")
    with pytest.raises(DemoError, match=f"{agent.pid}"):
        await output_of(doorstile(*words))
    assert "screen     idle" in await sim(tmp_path, "status"), "the first goes on"


async def test_door_asks_the_rules_with_the_book_of_its_directory(tmp_path: Path) -> None:
    key = credential_key(bytes(32), CredentialKind.HF_UID, bytes.fromhex(CARD))
    rows = [DirectoryRow(key=key, kind=CredentialKind.HF_UID, member="m1")]
    book = [BookEntry(key="site", item=Raw(item_text(Site(id="s", tz="UTC", needs_plan=True))))]
    begin = begin_of(rows, book=book)
    await Journal.open(tmp_path, device=DEVICE).close()  # a directory without a journal is a journal that was lost
    directory = Directory.open(tmp_path)
    await directory.stage_begin(begin, issued(begin))
    await directory.stage_chunk(replace(chunk_of(rows), book=book))
    await directory.stage_end(DirEnd(snap=begin.snap))
    await directory.put("contact", '{"boot":"before","mono_ms":0,"age_ms":0}')
    await directory.close()
    async with running_agent(tmp_path):
        await sim(tmp_path, "tap", CARD)
        async with asyncio.timeout(20):
            while "reason=" not in (said := await recorded(tmp_path)):
                await asyncio.sleep(0.05)
    assert "reason=no_plan" in said


async def test_older_directory_is_not_decided_from_though_all_that_tells_of_a_newer_beside_it_is_lost(
    tmp_path: Path,
) -> None:
    key = credential_key(bytes(32), CredentialKind.HF_UID, bytes.fromhex(CARD))
    rows = [DirectoryRow(key=key, kind=CredentialKind.HF_UID, member="m1")]
    begin, delta = begin_of(rows, ver=1), delta_of(rows, [replace(rows[0], is_revoked=True)], first=1, to=2)
    directory = Directory.open(tmp_path)
    await directory.stage_begin(begin, issued(begin))
    await directory.stage_chunk(chunk_of(rows))
    await directory.stage_end(DirEnd(snap=begin.snap))
    await directory.apply(delta, issued(delta))
    await directory.close()
    async with running_agent(tmp_path):
        await sim(tmp_path, "status")
    for lost in ("kept.json", "directory-changes.db", "directory-changes.db-wal", "directory-changes.db-shm"):
        tmp_path.joinpath(lost).unlink(missing_ok=True)
    async with running_agent(tmp_path):
        await sim(tmp_path, "tap", CARD)
        async with asyncio.timeout(20):
            while "reason=" not in (said := await recorded(tmp_path)):
                await asyncio.sleep(0.05)
    assert "reason=no_directory" in said
    assert "directory_damaged" in said


NO_BOARD = """
name = "north"
description = "A door whose relay hangs on a board that is not there"
pin_factory = "lgpio"
lock_type = "fail_secure"

[[readers]]
name = "in"
driver = "pcsc"
match = "ACR122"
direction = "in"

[strike]
driver = "gpio"
line = 17
active_high = true
safe_state = "inactive"
contact = "NO"
pulse_s = 3.0
ceiling_s = 8.0
hang_guard = "timer_relay"

[light]
driver = "none"

[buzzer]
driver = "none"
"""


async def test_door_without_its_board_is_out_of_service_and_says_why(tmp_path: Path) -> None:
    enrol(tmp_path)
    (tmp_path / "north.toml").write_text(NO_BOARD)
    words = ("run", "--state", str(tmp_path), "--profile", str(tmp_path / "north.toml"), "--kiosk-port", "0")
    async with running("agent", doorstile(*words), tmp_path) as process:
        log = tmp_path / "agent.log"
        while "is open" not in log.read_text():
            assert process.returncode is None, log.read_text()
            await asyncio.sleep(0.05)
        assert "out of service: pin factory 'lgpio' cannot" in log.read_text()
        events = await recorded(tmp_path)
        while "code=reader_missing" not in events:
            events = await recorded(tmp_path)
        assert "in: reader_missing: pin factory 'lgpio'" in events
        assert not (tmp_path / "control.sock").exists(), "nobody works a real door by a socket"
