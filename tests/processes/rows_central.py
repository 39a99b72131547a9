"""F59 to F64: central set back, a cloned device, a revoked one, a remote open that comes late or twice."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.server import ServerConnection

from agent.clock import SystemTime, boot_id
from agent.core.staleness import Mark
from agent.identity import load_identity, save_identity
from agent.store.kept import Kept
from demo.processes import doorstile, manage, output_of
from demo.world import Seed
from tests.fakes.issuing import KEY, PUBLIC, begin_of
from tests.fakes.scripted_central import scripted_central
from tests.processes.door_process import edges
from tests.processes.doors import central_alone, new_door, point_at
from tests.processes.evidence import Record, open_commands
from tests.processes.lab import RED, Lab, Place, Table, need
from tests.processes.proxy import FINE, Weather
from wire.transfer import DirChunk, DirectoryRef, DirEnd

TABLE: Final = Table()
_ALLOWED_H: Final = 1


@TABLE.row(
    "F59",
    "central says where it stands; retained rows are sent again",
    "central's database replaced by an older backup",
)
async def restored_central(lab: Lab) -> str | None:
    folder = lab.folder / "restored"
    async with central_alone(folder) as central, lab.place(central=central) as place:
        await place.opens()
        await place.equal()
        await central.stop_central()
        backup = folder / "backup"
        shutil.copytree(folder / "central", backup)
        await central.start_central()
        for _ in range(2):
            for _ in range(4):
                await place.opens()
            await place.equal()
            await place.door.kill_agent()
            await place.door.clean_up()
            await place.restarted()
            await place.linked()
        await central.stop_central()
        shutil.rmtree(folder / "central")
        shutil.copytree(backup, folder / "central")
        await central.start_central()
        await place.door.until("link", "up", within_s=40)
        await place.opens()
        record = await place.equal()
    return f"{len(record.events)} events at both sides again"


@TABLE.row(
    "F59",
    "a device enrolled after the backup joins again and keeps its journal",
    "central's database replaced by one from before the door joined, then `doorstile join` with a new code",
)
async def forgotten_device(lab: Lab) -> str | None:
    folder = lab.folder / "forgotten"
    async with central_alone(folder) as central:
        await output_of(manage("demo_seed"), env=central.central_env)
        await central.stop_central()
        backup = folder / "backup"
        shutil.copytree(folder / "central", backup)
        await central.start_central()
        async with lab.place(central=central) as place:
            await place.opens()
            await place.equal()
            await central.stop_central()
            await place.opens()
            before = len(Record.of(place.door.state).events)
            await place.door.kill_agent()
            await place.door.clean_up()
            shutil.rmtree(folder / "central")
            shutil.copytree(backup, folder / "central")
            await central.start_central()
            await output_of(manage("renew_directories"), env=central.central_env)
            await _join_again(place)
            epoch = _directory_epoch(place)
            await place.restarted()
            async with asyncio.timeout(20):
                while _directory_epoch(place) == epoch:
                    await asyncio.sleep(0.2)
            await place.opens()
            record = await place.equal()
            need(before < len(record.events), "the journal began anew")
    return f"{len(record.events)} events at both sides, {before} of them from before"


async def _join_again(place: Place) -> None:
    by_way_of, had = load_identity(place.door.state).central, place.door.device
    point_at(place.door, place.door.central_url)
    printed = await output_of(manage("demo_seed", "--json"), env=place.door.central_env)
    code = msgspec.json.decode(printed, type=Seed).code
    words = ("--central", place.door.central_url, "--code", code, "--state", str(place.door.state), "--yes")
    await output_of(doorstile("join", *words))
    point_at(place.door, by_way_of)
    need(place.door.device == had, "the device has another id")


@TABLE.row(
    "F60",
    "both reported, the newer fences the older",
    "two agents with one identity (a copied state folder), on two boots",
)
async def cloned(lab: Lab) -> str | None:
    async with lab.place() as place:
        await place.opens()
        await place.equal()
        await place.door.kill_agent()
        await place.door.clean_up()
        twin = new_door(place.door.folder / "twin", lab.central)
        shutil.copytree(place.door.state, twin.state, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.sock"))
        twin.seed, twin.env = place.door.seed, {"DOORSTILE_TEST_BOOT": "c" * 32}
        try:
            await place.restarted()
            await place.linked()
            await twin.start_agent()
            await asyncio.sleep(3.0)
            await place.opens()
            central_log = (lab.folder / "central" / "central.log").read_text(errors="replace")
            need(
                "a newer connection has this device's identity" in place.door.log + twin.log,
                "no side says it was superseded",
            )
            need("a clone?" in central_log, "central does not report two devices of one identity")
            need(place.door.agent is not None and place.door.agent.returncode is None, "the first agent ended")
            need(twin.agent is not None and twin.agent.returncode is None, "the second agent ended")
        finally:
            await twin.close()
        held = _held(lab.central.folder / "central", place.door.device)
        need(held[0] == held[1], f"{held[0] - held[1]} events of clones are held twice")
    return f"{held[0]} events of both, none twice"


def _held(data: Path, device: str) -> tuple[int, int]:
    """Return how many events central holds of a device, and how many different ones."""
    uri = (data / "central.sqlite3").as_uri() + "?mode=ro"
    query = (
        "SELECT count(*), count(DISTINCT r.run || ':' || e.n) FROM checkins_event e JOIN checkins_run r "
        "ON r.id = e.run_id WHERE r.device_id = ?"
    )
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        every, different = connection.execute(query, (device.replace("-", ""),)).fetchone()
    return every, different


TABLE.not_run(
    "F61", "peak within the advertised rate", "5,000 devices: `make bench` (bench/fleet.py), too large for this table"
)


@TABLE.row("F62", "keeps the journal; connects again when allowed", "`manage.py revoke_device`, taps, then `--undo`")
async def revoked_keeps_journal(lab: Lab) -> str | None:
    async with lab.place() as place:
        await place.opens()
        await place.equal()
        await _revoke(place)
        for _ in range(3):
            await place.tap()
            await asyncio.sleep(0.5)
        before = set(Record.of(place.door.state).events)
        await _revoke(place, "--undo")
        await place.door.kill_agent()
        await place.door.clean_up()
        await place.restarted()
        await place.linked()
        record = await place.equal()
        need(before <= set(record.events), "the journal lost events of a revoked device")
    return f"{len(before)} events kept and sent later"


@TABLE.row(
    "F62",
    "a revoked device denies all",
    "`manage.py revoke_device`, then a tap of a member, also after a restart",
    is_quick=True,
)
async def revoked_denies(lab: Lab) -> str | None:
    async with lab.place() as place:
        await place.opens()
        await _revoke(place)
        for _ in range(2):
            await place.door.until("lock", "locked")
            after = len(place.page.seen)
            await place.tap()
            await place.page.next_of(RED, after=after, within_s=4)
            await place.door.kill_agent()
            await place.restarted()
    return None


async def _revoke(place: Place, *undo: str) -> None:
    await output_of(manage("revoke_device", place.door.device, *undo), env=place.door.central_env)
    if not undo:
        place.proxy.reset()
        await place.door.until("link", "down")
        await asyncio.sleep(1.5)


STRANGER: Final = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)


@TABLE.row(
    "F63", "the directory in use stays", "snapshots cut off, with a wrong digest, with too few rows, of another signer"
)
async def partial_directory(lab: Lab) -> str | None:
    sent: list[int] = []
    async with scripted_central() as central:

        async def talk(connection: ServerConnection) -> None:
            hello = await central.greet(connection)
            kind = len(sent) % 4
            sent.append(kind)
            begin = begin_of(
                snap=f"s{len(sent)}", epoch="other", ver=900 + len(sent), device=hello.device,
                digest="ab" * 32 if kind == 1 else None, key=STRANGER if kind == 3 else KEY,
            )  # fmt: skip
            await central.say(msgspec.structs.replace(begin, rows=kind % 3))
            if kind:
                await central.say(DirChunk(snap=begin.snap, i=0))
                await central.say(DirEnd(snap=begin.snap))
            await asyncio.sleep(0.5)
            await connection.close(1012)

        central.talk = talk
        async with lab.place() as place:
            await place.door.kill_agent()
            own = load_identity(place.door.state)
            save_identity(place.door.state, msgspec.structs.replace(own, directory_key=PUBLIC.hex()))
            point_at(place.door, central.url)
            await place.restarted()
            async with asyncio.timeout(40):
                while len(sent) < 5:
                    await asyncio.sleep(0.1)
            await place.opens()
            await place.door.kill_agent()
            await place.door.clean_up()
            await place.restarted()
            await place.opens()
            await place.door.kill_agent()
            await place.door.clean_up()
            save_identity(place.door.state, own)
            await place.restarted()
            await place.linked()
            await place.equal()
    return f"{len(sent)} bad snapshots; members still get in, also after a restart"


@TABLE.row(
    "F63",
    "a frozen directory stops granting after its staleness limit",
    "a site that allows one hour; the link cut and the count of it 20 s before its end",
)
async def frozen_directory(lab: Lab) -> str | None:
    async with central_alone(lab.folder / "frozen") as central, lab.place(central=central) as place:
        await place.opens()
        models = "from central.directory.models_rules import SiteRules; from central.devices.models import Site; "
        limit = f"defaults={{'stale_after_h': {_ALLOWED_H}}}"
        allow = f"{models}SiteRules.objects.update_or_create(site=Site.objects.get(), {limit})"
        before = _directory_version(place)
        await output_of(manage("shell", "-c", allow), env=place.door.central_env)
        async with asyncio.timeout(20):
            while _directory_version(place) <= before:
                await asyncio.sleep(0.2)
        await place.door.kill_agent()
        await place.door.clean_up()
        place.proxy.weather = Weather(refuses=True)
        _age(place, _ALLOWED_H * 3_600_000 - 20_000)
        await place.restarted()
        await place.opens()
        await asyncio.sleep(21.0)
        after = len(place.page.seen)
        await place.tap()
        await place.page.next_of(RED, after=after)
        reasons = [event["body"]["reason"] for _, event in Record.of(place.door.state).of_kind("decision")]
        need(reasons[-1] == "directory_stale", f"denied as {reasons[-1]}")
        place.proxy.weather = FINE
        await place.door.until("link", "up", within_s=40)
        await place.opens()
    return "let in before, denied after, let in again once central was heard of"


def _directory_version(place: Place) -> int:
    held = _directory(place)
    return 0 if held is None else held.ver


def _directory_epoch(place: Place) -> str:
    held = _directory(place)
    return "" if held is None else held.epoch


def _directory(place: Place) -> DirectoryRef | None:
    kept = Kept(place.door.state / "kept.json").get("directory")
    return None if kept is None else msgspec.json.decode(kept, type=DirectoryRef)


def _age(place: Place, age_ms: int) -> None:
    """Let so much time have passed since central was last heard of, in this boot."""
    kept = Kept(place.door.state / "kept.json")
    now = SystemTime().read()
    kept.put("contact", msgspec.json.encode(Mark(boot_id(), now.mono_ms, age_ms)).decode())


@TABLE.row(
    "F64",
    "at most one pulse, none after expiry",
    "a remote open held up by the line for 12 s",
)
async def late_open(lab: Lab) -> str | None:
    async with lab.place() as place:
        await asyncio.sleep(0.5)
        await place.door.staff.unlock(place.door.device, "in time")
        await place.door.until("lock", "unlocked", within_s=10)
        await place.door.until("lock", "locked")
        pulses = _pulses(place)
        place.proxy.weather = Weather(swallows=True)
        await place.door.staff.unlock(place.door.device, "held up")
        await asyncio.sleep(11.5)
        place.proxy.weather = FINE
        await asyncio.sleep(3.0)
        await place.linked()
        need(_pulses(place) == pulses == 1, f"{_pulses(place)} pulses for one open in time and one too late")
        await place.equal()
        await _commands_end(place)
    return "one pulse for two commands; the late one expired"


@TABLE.row(
    "F64",
    "not run again after a crash; ends unknown at central",
    "SIGKILL in the pulse of a remote open",
    is_quick=True,
)
async def crashed_open(lab: Lab) -> str | None:
    async with lab.place() as place:
        await place.door.kill_agent()
        await place.restarted(DOORSTILE_TEST_DIE_AT="relay on")
        await place.linked()
        await asyncio.sleep(0.5)
        await place.door.staff.unlock(place.door.device, "its device dies")
        await place.dies()
        await place.restarted()
        await place.linked()
        await place.equal()
        await _commands_end(place)
        need(_pulses(place) == 1, f"{_pulses(place)} pulses: the command was run again after the crash")
        results = [event["body"]["state"] for _, event in Record.of(place.door.state).of_kind("command_result")]
        need(results == ["unknown"], f"the device recorded {results}")
    return None


async def _commands_end(place: Place) -> None:
    """Wait until central knows how each command of this device ended; raise ShortError where one stays open."""
    data = Path(place.door.central_env["DOORSTILE_DATA"])
    try:
        async with asyncio.timeout(5.0):
            while open_commands(data, place.door.device):
                await asyncio.sleep(0.2)
    except TimeoutError:
        need(False, "; ".join(open_commands(data, place.door.device)))


def _pulses(place: Place) -> int:
    return sum(edge.is_on for edge in edges(place.door.line))
