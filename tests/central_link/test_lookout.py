"""What other processes wrote is looked for, told once to whom it concerns, and never costs the server its life."""

import asyncio
import logging
from uuid import UUID

import pytest
from django.db import OperationalError

from central.devices.ids import uuid7
from central.devices.tokens import Admitted
from central.sync import lookout as lookout_module
from central.sync.connection import Connection
from central.sync.database import Database
from central.sync.delivery import Delivery
from central.sync.exchange import Terms
from central.sync.lookout import Lookout
from central.sync.performing import Performer
from central.sync.sharing import Sharing
from central.sync.standing import Standing
from central.sync.state import State
from central.sync.switchboard import Notice, SiteVersions, Switchboard, What
from wire.presence import PresenceRef
from wire.token import TokenClaims
from wire.transfer import DirectoryRef

pytestmark = pytest.mark.unit

DEVICE, SITE = uuid7(), uuid7()
NONE: frozenset[UUID] = frozenset()


def versions(directory: int, presence: int = 1) -> SiteVersions:
    return SiteVersions(("e1", directory), PresenceRef("e1", presence))


class Held:
    """A connection whose device has certain versions."""

    def __init__(self, has: SiteVersions, device_id: UUID = DEVICE, site_id: UUID = SITE) -> None:
        self.device_id, self.site_id, self.has = device_id, site_id, has
        self.told: list[What] = []

    def missing(self, newest: SiteVersions) -> list[What]:
        found = [What.DIRECTORY] if self.has.directory != newest.directory else []
        return [*found, What.PRESENCE] if self.has.presence != newest.presence else found

    def notify(self, notice: Notice) -> None:
        self.told.append(notice.what)


class ScriptedReader:
    """Answers from a list: what stands, nothing new, or a fault; the last answer stays."""

    def __init__(self, *answers: Standing | Exception | None) -> None:
        self.answers = list(answers)
        self.asked = 0

    def read(self) -> Standing | None:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def looking(
    monkeypatch: pytest.MonkeyPatch, *answers: Standing | Exception | None, links: tuple[Held, ...] = ()
) -> tuple[Lookout, ScriptedReader]:
    reader, board = ScriptedReader(*answers), Switchboard()
    monkeypatch.setattr(lookout_module, "Reader", lambda: reader)
    for link in links:
        board.join(link)
    return Lookout(Database(1), board, every_s=0.0), reader


async def until_asked(lookout: Lookout, reader: ScriptedReader, times: int) -> None:
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(lookout.run())
        while reader.asked < times:
            await asyncio.sleep(0)
        running.cancel()


async def test_waiting_command_and_revocation_are_told_to_their_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    here, other = Held(versions(1)), Held(versions(1), uuid7())
    standing = Standing(frozenset({DEVICE, uuid7()}), frozenset({DEVICE, uuid7()}), {SITE: versions(1)})
    lookout, _ = looking(monkeypatch, standing, links=(here, other))
    await lookout.look()
    assert (here.told, other.told) == ([What.COMMAND, What.REVOKED], [])


async def test_version_that_moved_is_told_once_and_only_to_those_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    behind, current = Held(versions(1)), Held(versions(2), uuid7())
    elsewhere = Held(versions(1), uuid7(), uuid7())
    standing = Standing(NONE, NONE, {SITE: versions(2)})
    lookout, _ = looking(monkeypatch, standing, links=(behind, current, elsewhere))
    await lookout.look()
    await lookout.look()
    assert (behind.told, current.told, elsewhere.told) == ([What.DIRECTORY], [], [])


async def test_presence_that_moved_is_told_beside_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Held(versions(1, 5))
    answers = [Standing(NONE, NONE, {SITE: versions(1, seen)}) for seen in (5, 6)]
    lookout, _ = looking(monkeypatch, *answers, links=(link,))
    await lookout.look()
    assert link.told == []
    await lookout.look()
    assert link.told == [What.PRESENCE]


async def test_nothing_new_in_the_database_tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Held(versions(1))
    lookout, _ = looking(monkeypatch, None, links=(link,))
    await lookout.look()
    assert link.told == []


async def test_without_connections_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    lookout, reader = looking(monkeypatch, None)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(lookout.run())
        for _ in range(5):
            await asyncio.sleep(0)
        running.cancel()
    assert reader.asked == 0


async def test_database_that_is_away_is_told_of_once_and_looked_at_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    faults = (OperationalError("gone"), OperationalError("gone"))
    link = Held(versions(1))
    lookout, reader = looking(monkeypatch, *faults, Standing(frozenset({DEVICE}), NONE, {}), None, links=(link,))
    await until_asked(lookout, reader, 4)
    assert link.told == [What.COMMAND]
    said = [(record.levelname, record.getMessage().partition(":")[0]) for record in caplog.records]
    assert [one for one in said if "look" in one[1]] == [
        ("WARNING", "no look for changes"),
        ("INFO", "changes are looked for again, after 0 s"),
    ]


async def test_bug_in_a_look_is_logged_and_the_next_look_follows(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lookout, reader = looking(monkeypatch, ZeroDivisionError(), None, links=(Held(versions(1)),))
    await until_asked(lookout, reader, 2)
    assert "ZeroDivisionError" in caplog.text


# What a connection says it lacks


def serving(held: DirectoryRef | None, sharing: Sharing) -> Connection:
    async def nothing(*_: object) -> None:
        raise AssertionError("not served here")

    claims = TokenClaims(iss="d", sub="d", aud="a", iat=0, nbf=0, exp=60, jti="0" * 32, run="", n=0, head="")
    performer = Performer(DEVICE, Database(1), Switchboard())
    connection = Connection(Admitted(DEVICE, SITE, "k", claims), performer, Terms(), nothing, nothing)
    connection._state = State(device=str(DEVICE), delivery=Delivery(held=held), sharing=sharing)
    return connection


@pytest.mark.parametrize(
    ("held", "sharing", "missing"),
    [
        (None, Sharing(), [What.DIRECTORY]),
        (DirectoryRef("e1", 2, "any"), Sharing(), []),
        (DirectoryRef("e0", 2, "any"), Sharing(), [What.DIRECTORY]),
        (DirectoryRef("e1", 2, "any"), Sharing(takes=True, held=PresenceRef("e1", 3)), []),
        (DirectoryRef("e1", 1, "any"), Sharing(takes=True, held=PresenceRef("e1", 2)), [What.DIRECTORY, What.PRESENCE]),
        (DirectoryRef("e1", 2, "any"), Sharing(takes=True), [What.PRESENCE]),
    ],
)
def test_connection_lacks_what_its_device_did_not_tell_to_have(
    held: DirectoryRef | None, sharing: Sharing, missing: list[What]
) -> None:
    assert serving(held, sharing).missing(versions(2, 3)) == missing
