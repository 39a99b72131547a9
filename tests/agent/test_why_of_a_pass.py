"""`doorstile why` of a pass: the code is looked at as at the door, by the book and by what was used there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec import structs

from agent.cli import doorstile
from agent.clock import SystemTime
from agent.commands import why
from agent.core.types import Use
from agent.identity import save_identity
from agent.store.journal import Journal
from rules.book import load
from tests.agent.test_why import FakeLook
from tests.fakes.link_parts import identity_for
from tests.passes.making import KEY, MEMBER, PASS_ID, REVOKED_ID, Phone, claims, items, private_key, signed
from tests.store.samples import DEVICE, QUICK, begun
from wire.credentials import credential_key
from wire.vocabulary import CredentialKind, Reason

pytestmark = pytest.mark.unit

IDENTITY = identity_for("https://central.example.org", credential_key=KEY.hex())
NOW_MS = SystemTime().read().wall_ms
HOURS = {"nbf": NOW_MS // 1000 - 3600, "exp": NOW_MS // 1000 + 3600}
PHONE = Phone()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_identity(tmp_path, IDENTITY)

    @contextmanager
    def look(_: Path) -> Iterator[FakeLook]:
        yield FakeLook(load(items()), PHONE.row())

    monkeypatch.setattr(why, "look", look)
    return tmp_path


def output(folder: Path, text: str, *words: str) -> str:
    words = ("why", text, "--offline-h", "0", *words, "--state", str(folder))
    result = CliRunner().invoke(doorstile, words)
    assert result.exit_code == 0, result.output
    return result.output


def asked(folder: Path, text: str, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output(folder, text, *words, "--json"))
    return found


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {rule["reason"]: rule["verdict"] for rule in found["rules"]}


async def used(folder: Path, name: str, step: int) -> None:
    journal = Journal.open(folder, device=DEVICE, limits=QUICK)
    await journal.append(structs.replace(begun("x"), uses=Use(name, step)))
    await journal.close()


@pytest.mark.parametrize("before", ["", "pass_signed:", "qr_static:"])
def test_a_pass_that_holds_is_granted_and_its_text_is_not_printed(folder: Path, before: str) -> None:
    text = signed(claims(**HOURS))
    out = output(folder, before + text, "--all")
    assert out.startswith("GRANT: member_valid\n")
    assert f" {MEMBER}\n" in out
    assert "  pass_signature        passes\n" in out
    assert "  pass_stale            does not apply\n" in out
    assert text[:12] not in out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("DSP1:junk", Reason.PASS_MALFORMED),
        (signed(claims(**HOURS), {"alg": "EdDSA", "typ": "doorstile-pass+jwt", "kid": "f" * 16}), "pass_unknown_key"),
        (signed(claims(**HOURS), key=private_key(9)), Reason.PASS_SIGNATURE),
        (signed(claims(**HOURS, aud="elsewhere")), Reason.PASS_WRONG_SITE),
        (signed(claims(**HOURS, jti=REVOKED_ID)), Reason.PASS_REVOKED),
        (signed(claims(**HOURS, zones=["office"])), Reason.PASS_ZONE),
        (signed(claims(nbf=1, exp=2)), Reason.PASS_EXPIRED),
        (signed(claims()), Reason.PASS_NOT_YET),
        (PHONE.code(), Reason.PASS_STALE),
    ],
)
def test_what_is_wrong_with_a_pass_is_what_the_door_would_say(folder: Path, text: str, reason: str) -> None:
    found = asked(folder, text)
    assert (found["outcome"], found["reason"]) == ("deny", reason)
    assert verdicts(found)[reason] == "objects"


def test_what_comes_after_a_fault_is_said_to_be_not_asked(folder: Path) -> None:
    found = verdicts(asked(folder, signed(claims(**HOURS), key=private_key(9))))
    assert (found["pass_malformed"], found["pass_zone"]) == ("passes", "not_asked")
    assert found["unknown_credential"] == "not_asked"


def test_a_phone_that_nobody_knows_is_unknown_also_without_a_clock(folder: Path) -> None:
    code = Phone(private_key(7)).code(SystemTime().read().wall_ms)
    for words in ((), ("--clock-unknown",)):
        found = asked(folder, code, *words)
        assert (found["reason"], verdicts(found)["unknown_credential"]) == (Reason.UNKNOWN_CREDENTIAL, "objects")


async def test_a_pass_that_was_used_at_this_door_is_denied_and_at_another_time_is_not_known_to_be(
    folder: Path,
) -> None:
    text = signed(claims(**HOURS, once=True))
    assert asked(folder, text)["reason"] == Reason.MEMBER_VALID
    index = credential_key(KEY, CredentialKind.PASS_SIGNED, bytes.fromhex(PASS_ID))
    await used(folder, f"{CredentialKind.PASS_SIGNED}:{index}", NOW_MS // 15_000 + 1_000)
    assert asked(folder, text)["reason"] == Reason.PASS_REPLAYED
    assert asked(folder, text, "--door", "north")["reason"] == Reason.MEMBER_VALID


def test_a_phones_code_of_now_is_granted(folder: Path) -> None:
    code = PHONE.code(SystemTime().read().wall_ms)
    assert asked(folder, code)["reason"] == Reason.MEMBER_VALID
    assert asked(folder, f"pass_rotating:{code}", "--clock-unknown")["reason"] == Reason.CLOCK_UNKNOWN


def test_without_a_journal_it_is_said_that_use_is_not_looked_at(folder: Path) -> None:
    assert "which passes were used" in output(folder, signed(claims(**HOURS)))
