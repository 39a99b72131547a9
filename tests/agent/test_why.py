"""`doorstile why`: what a person reads, and that a card's number goes no further than the command."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from agent.cli import doorstile
from agent.commands import why
from agent.identity import save_identity
from agent.site_clock import ZONE_KEY
from rules.book import Book
from tests.fakes.link_parts import identity_for
from tests.rules.builders import BOOK, NOON, row
from wire.credentials import credential_key
from wire.directory import Issue
from wire.rows import DirectoryRow
from wire.transfer import DirectoryRef
from wire.vocabulary import CredentialKind

pytestmark = pytest.mark.unit

UID = "04A1B2C3D4E5E6"
IDENTITY = identity_for("https://central.example.org")
KEY = credential_key(IDENTITY.credential_key_bytes, CredentialKind.HF_UID, bytes.fromhex(UID))
CODE = credential_key(IDENTITY.credential_key_bytes, CredentialKind.QR_STATIC, b"summer")


class Kept:
    def get(self, name: str) -> str | None:
        return '{"boot":"b","mono_ms":0,"age_ms":10800000}' if name == "contact" else None


class FakeLook:
    def __init__(self, book: Book | None, *rows: DirectoryRow) -> None:
        self.ref = DirectoryRef("e1", 7, "d")
        self.issue: Issue | None = None
        self.book, self.kept = book, Kept()
        self._rows = {row.key: row for row in rows}

    def find(self, key: str) -> DirectoryRow | None:
        return self._rows.get(key)

    def rows(self) -> Iterator[DirectoryRow]:
        yield from self._rows.values()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_identity(tmp_path, IDENTITY)
    put(monkeypatch, FakeLook(BOOK, row(key=KEY, plan="day"), row(key=CODE, cls="trusted")))
    return tmp_path


def put(monkeypatch: pytest.MonkeyPatch, seen: FakeLook) -> None:
    @contextmanager
    def look(_: Path) -> Iterator[FakeLook]:
        yield seen

    monkeypatch.setattr(why, "look", look)


def ask(folder: Path, *words: str, stdin: str | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(doorstile, ["why", *words, "--state", str(folder)], input=stdin)
    return result.exit_code, result.output


def asked(folder: Path, *words: str) -> dict[str, Any]:
    code, out = ask(folder, *words, "--door", "north", "--json")
    assert code == 0, out
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_grant_is_explained_rule_by_rule(folder: Path) -> None:
    code, out = ask(folder, UID, "--at", "2027-01-13T12:00", "--door", "north")
    assert code == 0
    assert out.splitlines()[:4] == [
        "GRANT: member_valid",
        "north, in, Wed 2027-01-13 12:00:00 Europe/Madrid, clock synced",
        "directory e1 version 7 with the site's book",
        "central last heard of 3 h ago",
    ]
    assert "held by member m1\n" in out
    assert out.splitlines()[-1] == "  the other rules: 19 let it pass, 19 not about this; --all lists them"
    assert "outside_hours" not in out
    assert UID not in out


def test_every_rule_is_listed_where_that_is_asked_for(folder: Path) -> None:
    _, out = ask(folder, UID, "--at", "2027-01-13T12:00", "--door", "north", "--all")
    assert "  outside_hours         passes" in out
    assert "  pass_signature        does not apply" in out
    assert "  guardian_absent       does not apply" in out
    assert "--all" not in out


@pytest.mark.parametrize("words", [(), ("--all",), ("--lockdown", "1", "--all")])
def test_lines_have_at_most_80_columns(folder: Path, words: tuple[str, ...]) -> None:
    _, out = ask(folder, UID, "--at", "2027-01-13T23:00", "--door", "north", *words)
    assert max(map(len, out.splitlines())) <= 80


def test_a_denial_names_the_rule_that_decided(folder: Path) -> None:
    _, out = ask(folder, UID, "--at", "2027-01-13T23:00", "--door", "north")
    assert out.startswith("DENY: outside_hours\n")
    assert "> outside_hours         objects        outside the hours of the plan and of the" in out


def test_the_journals_index_and_other_kinds_and_standard_input_name_a_credential_too(folder: Path) -> None:
    assert asked(folder, KEY, "--at", "2027-01-13T12:00")["reason"] == "member_valid"
    assert asked(folder, "qr_static:summer", "--at", "2027-01-13T12:00", "--offline-h", "0")["reason"] == "member_valid"
    assert ask(folder, "-", "--door", "north", stdin=f"{UID}\n")[0] == 0
    assert asked(folder, "04FFFFFFFFFFFF")["reason"] == "unknown_credential"


def test_the_circumstances_can_be_chosen(folder: Path) -> None:
    at = ("--at", "2027-01-13T12:00")
    assert asked(folder, UID, *at, "--lockdown", "1")["reason"] == "lockdown"
    assert asked(folder, UID, *at, "--clock-unknown")["reason"] == "clock_unknown"
    assert asked(folder, UID, *at, "--offline-h", "2000")["reason"] == "directory_stale"
    assert asked(folder, UID, "--at", "2027-01-13T23:00", "--direction", "out")["reason"] == "member_valid"
    assert asked(folder, UID, "--at", "2027-01-13T11:00:00+00:00")["wall_ms"] == NOON
    assert asked(folder, UID)["wall_ms"] > 1_700_000_000_000


def test_what_staff_would_be_told_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, FakeLook(BOOK, row(key=KEY, paid_to_ms=NOON, grace_days=3)))
    assert "staff are told: payment_grace" in ask(folder, UID, "--at", "2027-01-14T12:00", "--door", "north")[1]


def test_without_a_book_the_credential_alone_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = FakeLook(None, row(key=KEY, plan=""))
    put(monkeypatch, seen)
    code, out = ask(folder, UID)
    assert code == 0
    assert "this door, in, " in out
    assert "without a book" in out
    code, out = ask(folder, UID, "--door", "Nope")
    assert code == 2
    assert "no door 'Nope'" in " ".join(out.replace("│", " ").split())
    seen.ref = None  # type: ignore[assignment]
    assert "no directory yet" in ask(folder, UID)[1]


@pytest.mark.parametrize(("age_s", "said"), [(0, "0 min ago"), (3_599, "59 min ago"), (7_200, "2 h ago")])
def test_a_contact_within_the_hour_is_told_in_minutes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, age_s: int, said: str
) -> None:
    monkeypatch.setattr(why, "kept_age_s", lambda _: age_s)
    assert f"central last heard of {said}" in ask(folder, UID)[1]


def test_what_still_opens_without_the_link_is_counted(folder: Path) -> None:
    words = ("--if-link-dies", "--at", "2027-01-13T12:00", "--door", "north", "--offline-h", "1")
    code, out = ask(folder, *words)
    assert code == 0
    assert out.splitlines() == [
        "2 credentials: 2 open this door now, 1 without the link",
        "       1 would be denied: directory_stale",
    ]
    assert json.loads(ask(folder, *words, "--json")[1])["lost"] == {"directory_stale": 1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name a CREDENTIAL, or ask with --if-link-dies"),
        ((UID, "--if-link-dies"), "name a CREDENTIAL, or ask with --if-link-dies"),
        (("04A1",), "CREDENTIAL: '04A1' is not"),
        (("pass_signed:DSP2:secret",), "what follows pass_signed: is the text of no pass; it begins with DSP1:"),
        ((UID, "--door", "south"), "no door 'south'; it has north, office, pool"),
        ((UID, "--at", "tomorrow"), "'tomorrow' is no time"),
    ],
)
def test_what_makes_no_sense_is_refused(folder: Path, words: tuple[str, ...], said: str) -> None:
    code, out = ask(folder, *words)
    assert code == 2
    assert said in " ".join(out.replace("│", " ").split())


@pytest.mark.parametrize(
    ("joined", "told", "shown"),
    [
        ("Europe/Berlin", None, "Europe/Berlin"),
        ("Mars/Olympus", "Europe/Madrid", "Europe/Madrid"),
        ("Europe/Berlin", "Mars/Olympus", "Europe/Berlin"),
        ("Mars/Olympus", None, "UTC"),
        ("../../etc", "", "UTC"),
    ],
)
def test_times_without_a_book_are_by_centrals_last_word_that_makes_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joined: str, told: str | None, shown: str
) -> None:
    save_identity(tmp_path, replace(IDENTITY, time_zone=joined))
    seen = FakeLook(None, row(key=KEY))
    monkeypatch.setattr(seen.kept, "get", lambda name: told if name == ZONE_KEY else None)
    put(monkeypatch, seen)
    code, out = ask(tmp_path, UID, "--at", "2027-01-13T12:00")
    assert code == 0
    assert f" Wed 2027-01-13 12:00:00 {shown}, clock" in out
