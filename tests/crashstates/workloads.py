"""What a door does to its files, in phases: `python -m tests.crashstates.workloads NAME PHASE FOLDER SAID [BUG [LOG]]`.

Each phase is a process of its own: it ends by closing its files or by SIGKILL. It claims in the file SAID what it is
about to do and what is done, one line each; `tests.crashstates.claims` holds what follows from that.
"""

import asyncio
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
from msgspec import structs

from agent.errors import CommitUnknownError
from agent.identity import Identity, save_identity
from agent.store.directory import Directory
from agent.store.journal import Draft, Journal, JournalLimits
from tests.crashstates import planted
from tests.fakes.issuing import begin_of, chunk_of, delta_of, issued
from tests.fakes.link_parts import identity_for
from tests.store.samples import AT, DEVICE, Chain
from wire.events import AlarmBody, CommandBegunBody
from wire.rows import DirectoryRow
from wire.transfer import DirEnd
from wire.vocabulary import CommandName, CredentialKind, EventKind

BUSY: Final = JournalLimits(
    reserve_bytes=4096, idle_s=0.02, checkpoint_frames=24, keep_events=6, group_events=8, tail_rows=1 << 20
)
"""Everything that a journal does within a few dozen events: checkpoints, retention, groups."""
PLAIN: Final = replace(JournalLimits(), reserve_bytes=4096, idle_s=0.02)
"""The limits of a door, where the log grows long between checkpoints."""


class Script:
    """A journal, a far side that acknowledges, and the claims about both."""

    def __init__(self, folder: Path, limits: JournalLimits, said: "Sayer", seed: int) -> None:
        self.journal = Journal.open(folder, device=DEVICE, limits=limits)
        self.say = said
        self.chance = random.Random(seed)
        self.chains: dict[str, Chain] = {}
        self._serial = 0
        self.say("run", self.journal.run)

    async def append(self, count: int = 1, *, opens: str = "", settles: str = "", outcome: str = "") -> None:
        """Append events in one transaction; the promises belong to the first."""
        keys = [self._key() for _ in range(count)]
        self.say("trying", keys[0], opens or "-", settles or "-", outcome or "-")
        for key in keys[1:]:
            self.say("trying", key, "-", "-", "-")
        drafts = [self._draft(key) for key in keys]
        drafts[0] = Draft(drafts[0].kind, AT, drafts[0].body, opens or None, settles or None, outcome)
        for key, event in zip(keys, await self.journal.append_many(drafts), strict=True):
            self.say("durable", event.run, str(event.n), key)

    async def append_together(self, count: int) -> None:
        """Append events that share commits as they come."""
        await asyncio.gather(*(self.append() for _ in range(count)))

    async def acknowledge(self, max_events: int) -> None:
        """Take the oldest waiting events and acknowledge them."""
        waiting = next((run for run in self.journal.runs() if run.acked < run.last), None)
        if waiting is None:
            return
        chain = self.chains.setdefault(waiting.run, Chain(waiting.head, waiting.acked))
        before = chain.upto
        for event in await self.journal.read(waiting.run, chain.upto, max_events, 1 << 20):
            chain.take(event.n, event.data)
        keys = [event_key(chain.texts[n]) for n in range(before + 1, chain.upto + 1)]
        self.say("acking", waiting.run, str(chain.upto), *keys)
        await self.journal.acknowledge(waiting.run, chain.upto, chain.head)

    async def promise(self, number: int) -> None:
        """Begin something, end it with an outcome, and let it be forgotten."""
        key = f"{self.journal.run[:6]}.{number}"
        await self.append(opens=key)
        await self.append(2, settles=key, outcome="done")
        if number % 2:
            self.say("forgetting", key)
            await self.journal.forget(key)

    async def rest(self) -> None:
        """Let the writer do what it does when nothing comes."""
        await asyncio.sleep(0.08)

    def _key(self) -> str:
        self._serial += 1
        return f"{self.journal.run[:6]}-{self._serial}"

    def _draft(self, key: str) -> Draft:
        if self.chance.random() < 0.3:
            detail = "x" * self.chance.choice((0, 90, 700, 3000))
            return Draft(EventKind.ALARM, AT, AlarmBody(code=key, detail=detail))
        return Draft(EventKind.COMMAND_BEGUN, AT, CommandBegunBody(id=key, name=CommandName.UNLOCK))


class _Keyed(msgspec.Struct):
    """An event by the key that its draft was given."""

    body: dict[str, str]


_decode_keyed = msgspec.json.Decoder(_Keyed).decode


def event_key(text: bytes) -> str:
    """Return the key that a script gave an event."""
    body = _decode_keyed(text).body
    return body.get("id") or body.get("code") or ""


class Sayer:
    """Writes claims, each with one call, so that they stand among the file operations where they were made.

    With the log of a disk each claim begins with the log's length at that moment.
    """

    def __init__(self, path: Path, log: Path | None = None) -> None:
        self._log = log
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, *words: str) -> None:
        """Claim something."""
        if self._log is not None:
            words = (str(self._log.stat().st_size), *words)
        os.write(self._file, (" ".join(words) + "\n").encode())


async def day(script: Script) -> None:
    """Do what a door does, four times over, and leave some of it unacknowledged."""
    for round_ in range(4):
        await script.promise(round_)
        await script.append_together(5)
        await script.acknowledge(6)
        await script.append()
        await script.acknowledge(30)
        await script.append(3)
        await script.rest()
    await script.append_together(4)


async def _journal(folder: Path, say: Sayer, phase: int, limits: JournalLimits) -> None:
    script = Script(folder, limits, say, phase)
    await day(script)
    if phase == 1:
        _die()
    await script.journal.close()


async def _busy(folder: Path, say: Sayer, phase: int) -> None:
    await _journal(folder, say, phase, BUSY)


async def _plain(folder: Path, say: Sayer, phase: int) -> None:
    await _journal(folder, say, phase, PLAIN)


async def _failing(folder: Path, say: Sayer, phase: int) -> None:
    """The sync of a commit fails in the first phase; the second rotates to a new store file."""
    script = Script(folder, BUSY, say, phase)
    with suppress(CommitUnknownError):
        await day(script)
        await script.journal.close()
        return
    _die()


def rows_of(version: int) -> list[DirectoryRow]:
    """Return the rows of a directory's version: other ones, and more or fewer, each time."""
    chance = random.Random(version)
    keys = sorted(chance.randbytes(16).hex() for _ in range(60 + 40 * (version % 3)))
    return [DirectoryRow(key=key, kind=CredentialKind.HF_UID, member=f"m{version}.{i}") for i, key in enumerate(keys)]


async def _snapshot(directory: Directory, rows: list[DirectoryRow], version: int) -> None:
    chunks = [rows[at : at + 25] for at in range(0, len(rows), 25)]
    begin = begin_of(rows, epoch="e", ver=version, chunks=len(chunks))
    await directory.stage_begin(begin, issued(begin))
    for i, chunk in enumerate(chunks):
        await directory.stage_chunk(chunk_of(chunk, i=i))
    await directory.stage_end(DirEnd(snap=begin.snap))


async def _directory(folder: Path, say: Sayer, phase: int) -> None:
    directory = Directory.open(folder)
    for version in range(10 * phase + 1, 10 * phase + 5):
        rows = rows_of(version)
        say("directory-begun", str(version))
        await _snapshot(directory, rows, version)
        say("directory", str(version))
        say("kept-begun", str(version))
        await directory.put("version", str(version))
        say("kept", str(version))
    if phase == 0:
        _die()
    await directory.close()


def changed_rows_of(version: int) -> list[DirectoryRow]:
    """Return the rows of a version that a change leads to: most of them as they were in the version before."""
    chance = random.Random(500)
    keys = [chance.randbytes(16).hex() for _ in range(40)]
    since = {n: max((v for v in range(version + 1) if v * 7 % 40 <= n < v * 7 % 40 + 9), default=0) for n in range(40)}
    return [
        DirectoryRow(key=keys[n], kind=CredentialKind.HF_UID, member=f"m{since[n]}")
        for n in range(40)
        if (n + version) % 5
    ]


async def _changes(folder: Path, say: Sayer, phase: int) -> None:
    """Changes, a snapshot over them now and then, and changes of that."""
    directory = Directory.open(folder)
    held = 0 if directory.ref is None else directory.ref.ver
    for version in range(10 * phase + 1, 10 * phase + 9):
        rows = changed_rows_of(version)
        say("directory-begun", str(version))
        if directory.ref is None or version % 4 == 0:
            await _snapshot(directory, rows, version)
        else:
            delta = delta_of(changed_rows_of(held), rows, first=held, to=version, epoch="e")
            await directory.apply(delta, issued(delta))
        say("directory", str(version))
        held = version
    if phase == 0:
        _die()
    await directory.close()


def identity_of(version: int) -> Identity:
    """Return the identity of a numbered enrolment, or change of keys: the key, the one before, those before that."""
    made = identity_for(f"https://central{version}.example.org", pin=f"{version:064x}")
    key, old, *retired = (f"{number:064x}" for number in range(version + 3, 0, -1))
    return structs.replace(made, credential_key=key, old_key=old, retired_keys=retired)


async def _identity(folder: Path, say: Sayer, phase: int) -> None:
    for version in range(10 * phase + 1, 10 * phase + 9):
        say("identity-begun", str(version))
        save_identity(folder, identity_of(version))
        say("identity", str(version))


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


Phase = Callable[[Path, Sayer, int], Awaitable[None]]

WORKLOADS: Final[dict[str, tuple[Phase, int]]] = {
    "journal": (_busy, 3),
    "plain": (_plain, 2),
    "failing": (_failing, 3),
    "directory": (_directory, 2),
    "changes": (_changes, 2),
    "identity": (_identity, 2),
}
"""Each workload and its number of phases."""


def main(name: str, phase: int, folder: Path, said: Path, bug: str = "", log: str = "") -> None:
    """Play one phase, with a planted bug where one is named."""
    with planted.BUGS[bug].planted() if bug else nullcontext():
        asyncio.run(_play(name, phase, folder, Sayer(said, Path(log) if log else None)))


async def _play(name: str, phase: int, folder: Path, say: Sayer) -> None:
    await WORKLOADS[name][0](folder, say, phase)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), *sys.argv[5:])
