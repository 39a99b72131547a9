"""`doorstile why`: explain a decision rule by rule from the device's own directory, and what opens without the link.

Reads the state folder and nothing else; nothing is decided for anybody, recorded or opened.
"""

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import click

from agent.clock import SystemTime
from agent.commands.atdoor import AtDoor, age_words, at_door, words_of
from agent.config import load_config
from agent.identity import Identity, load_identity
from agent.staleness import kept_age_s
from agent.store.looking import Look, look
from rules.explaining import Explanation, Survey, Verdict, explain, survey
from rules.facts import Credential, Facts, Now, Read
from wire.credentials import CredentialError, credential_key
from wire.facts import DoorFacts
from wire.forms import read_form
from wire.vocabulary import ClockQuality, CredentialKind, Direction

_KEY_DIGITS: Final = 32
_FORMS: Final = {CredentialKind.QR_STATIC: "text", CredentialKind.LF_HID: "wiegand"}
_HOUR_S: Final = 3_600


@click.command()
@click.argument("credential", required=False)
@click.option(
    "--at", "at_text", metavar="TIME", help="On the site's clock, such as 2027-01-13T07:30 [now, as the door stands]."
)
@click.option("--door", help="Another door of the site's book [the one that this device works, as it stands].")
@click.option("--direction", type=click.Choice([way.value for way in Direction]), default="in", show_default=True)
@click.option("--lockdown", type=click.IntRange(0), help="The level of a lockdown in force [as it is].")
@click.option("--offline-h", type=click.IntRange(0), help="Hours since central was last heard of [as it is].")
@click.option("--clock-unknown", is_flag=True, help="As if the device did not know the time.")
@click.option("--if-link-dies", is_flag=True, help="Instead of one credential: how many still open without the link.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The agent's configuration.")
@click.option("--state", type=click.Path(path_type=Path), help="The agent's state folder.")
def why(
    credential: str | None,
    at_text: str | None,
    door: str | None,
    direction: str,
    lockdown: int | None,
    offline_h: int | None,
    clock_unknown: bool,
    if_link_dies: bool,
    as_json: bool,
    config_path: Path | None,
    state: Path | None,
) -> None:
    """Explain a decision rule by rule, from the device's own directory and journal.

    CREDENTIAL is a card's UID in hex, KIND:VALUE such as qr_static:TEXT, the index of 32 hex digits that the journal
    shows, or - to read one of these from standard input, where other users of the machine do not see it.
    """
    if (credential is None) != if_link_dies:
        raise click.UsageError("name a CREDENTIAL, or ask with --if-link-dies about all of them")
    folder = state or load_config(config_path).state_folder
    identity = load_identity(folder)
    quality = ClockQuality.NONE if clock_unknown else ClockQuality.SYNCED
    with look(folder) as seen:
        read = Read("why", Direction(direction), _credential(credential, identity, seen), 0)
        row = seen.find(read.credential.key) if credential else None
        is_now = credential is not None and at_text is None and door is None
        stands = at_door(folder, seen, row) if is_now else AtDoor()
        facts = Facts(
            read=read,
            now=Now(0, _moment(at_text, _time_zone(seen, identity)), quality),
            directory=seen.ref,
            row=row,
            book=seen.book,
            door=DoorFacts(
                _door(door, seen),
                mode=stands.mode,
                lockdown=stands.lockdown if lockdown is None else lockdown,
                is_revoked=stands.is_revoked,
            ),
            presence=stands.presence,
            stale_s=kept_age_s(seen.kept.get) if offline_h is None else offline_h * _HOUR_S,
        )
        if credential is None:
            found = survey(facts, seen.rows(), stale_s=facts.stale_s, q=quality)
            click.echo(_survey_json(found) if as_json else _survey_text(found))
            return
    found_why = explain(facts)
    stands_so = words_of(stands, row) if is_now else []
    click.echo(_json(facts, found_why) if as_json else _text(facts, found_why, _time_zone(seen, identity), stands_so))


def _credential(text: str | None, identity: Identity, seen: Look) -> Credential:
    """Return the credential that a text names; a card's number goes no further than this.

    While a key is being changed it is the one that the directory knows, under either key.
    """
    if text is None:
        return Credential(CredentialKind.HF_UID, "0" * _KEY_DIGITS)
    text = sys.stdin.readline().strip() if text == "-" else text
    if len(text) == _KEY_DIGITS and all(digit in "0123456789abcdef" for digit in text):
        return Credential(CredentialKind.HF_UID, text)
    named, colon, value = text.partition(":")
    is_named = bool(colon) and named in set(CredentialKind)
    kind = CredentialKind(named) if is_named else CredentialKind.HF_UID
    try:
        canonical = read_form(kind, _FORMS.get(kind, "hex"), value if is_named else text)
    except CredentialError as fault:
        raise click.UsageError(f"CREDENTIAL: {fault}") from fault
    newest, *older = (credential_key(bytes.fromhex(key), kind, canonical) for key in identity.finding_keys)
    return Credential(kind, next((key for key in (newest, *older) if seen.find(key) is not None), newest))


def _door(named: str | None, seen: Look) -> str:
    if seen.book is None:
        if named is not None:
            raise click.UsageError(f"--door: the directory has no book of the site, so no door {named!r}; leave it out")
        return ""
    if named is not None and named not in seen.book.doors:
        raise click.UsageError(f"--door: the site's book has no door {named!r}; it has {_listed(seen.book.doors)}")
    return named or seen.book.here


def _time_zone(seen: Look, identity: Identity) -> ZoneInfo:
    return ZoneInfo(identity.time_zone if seen.book is None else seen.book.site.tz)


def _moment(text: str | None, tz: ZoneInfo) -> int:
    if text is None:
        return SystemTime().read().wall_ms
    try:
        at = datetime.fromisoformat(text)
    except ValueError as fault:
        raise click.UsageError(f"--at: {text!r} is no time; write it as 2027-01-13T07:30") from fault
    return int((at if at.tzinfo else at.replace(tzinfo=tz)).timestamp() * 1000)


def _text(facts: Facts, found: Explanation, tz: ZoneInfo, stands_so: list[str]) -> str:
    decision, door = found.decision, facts.door.door or "this door"
    at = datetime.fromtimestamp(facts.now.wall_ms / 1000, UTC).astimezone(tz)
    lines = [f"{decision.outcome.upper()}: {decision.reason}"]
    lines.append(f"{door}, {facts.read.direction}, {at:%a %Y-%m-%d %H:%M:%S} {tz.key}, clock {facts.now.q}")
    lines.append(_directory_words(facts))
    if decision.member is not None:
        lines.append(f"held by {decision.holder} {decision.member}")
    lines += stands_so
    if decision.notices:
        lines.append(f"staff are told: {_listed(decision.notices)}")
    lines.append("")
    for step in found.steps:
        mark = ">" if step.is_decisive else " "
        says = step.says if step.verdict in {Verdict.OBJECTS, Verdict.LIFTED} else ""
        lines.append(f"{mark} {step.reason:<22}{step.verdict.replace('_', ' '):<11}{says}".rstrip())
    return "\n".join(lines)


def _directory_words(facts: Facts) -> str:
    ref = facts.directory
    if ref is None:
        return "no directory yet"
    book = "with the site's book" if facts.book is not None else "without a book"
    return f"directory {ref.epoch} version {ref.ver} {book}, central last heard of {age_words(facts.stale_s)} ago"


def _json(facts: Facts, found: Explanation) -> str:
    decision = found.decision
    return json.dumps(
        {
            "outcome": decision.outcome,
            "reason": decision.reason,
            "member": decision.member,
            "holder": decision.holder,
            "notices": list(decision.notices),
            "door": facts.door.door,
            "wall_ms": facts.now.wall_ms,
            "stale_s": facts.stale_s,
            "mode": facts.door.mode,
            "lockdown": facts.door.lockdown,
            "is_revoked": facts.door.is_revoked,
            "zone": facts.presence.zone,
            "rules": [{"reason": step.reason, "verdict": step.verdict, "says": step.says} for step in found.steps],
        },
        indent=2,
    )


def _survey_text(found: Survey) -> str:
    lines = [f"{found.asked} credentials: {found.open_linked} open this door now, {found.open_alone} without the link"]
    lines += [f"{count:>8} would be denied: {reason}" for reason, count in sorted(found.lost.items())]
    return "\n".join(lines)


def _survey_json(found: Survey) -> str:
    lost = {reason.value: count for reason, count in sorted(found.lost.items())}
    return json.dumps(
        {"asked": found.asked, "open_linked": found.open_linked, "open_alone": found.open_alone, "lost": lost}, indent=2
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
