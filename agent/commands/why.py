"""`doorstile why`: explain a decision rule by rule from the device's own directory, and what opens without the link.

Reads the state folder and nothing else; nothing is decided for anybody, recorded or opened.
"""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import click

from agent.clock import SystemTime
from agent.commands.atdoor import AtDoor, Kept, age_words, at_door, kept_in, words_of
from agent.commands.presented import Device, Presented, nothing, presented
from agent.commands.wrapping import wrapped
from agent.config import load_config
from agent.identity import Identity, load_identity
from agent.site_clock import ZONE_KEY, zone_of
from agent.staleness import kept_age_s
from agent.store.looking import Look, look
from rules.explaining import Explanation, Survey, Verdict, explain, survey
from rules.facts import Facts, Now
from wire.credentials import CredentialError
from wire.facts import DoorFacts
from wire.vocabulary import ClockQuality, Direction

_HOUR_S: Final = 3_600
_SILENT: Final = {
    Verdict.PASSES: "let it pass",
    Verdict.NOT_ASKED: "not asked",
    Verdict.DOES_NOT_APPLY: "not about this",
}
_SAYS_SOMETHING: Final = frozenset({Verdict.OBJECTS, Verdict.LIFTED})


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
@click.option("--all", "is_whole", is_flag=True, help="Every rule, also those that let it be.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with every rule.")
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
    is_whole: bool,
    as_json: bool,
    config_path: Path | None,
    state: Path | None,
) -> None:
    """Explain a decision rule by rule, from the device's own directory and journal.

    CREDENTIAL is a card's UID in hex, the text of a pass (DSP1:… or DSR1:…), KIND:VALUE such as qr_static:TEXT, the
    index of 32 hex digits that the journal shows, or - to read one of these from standard input, where other users of
    the machine do not see it. A signed pass has no row in the directory: give its text.
    """
    if (credential is None) != if_link_dies:
        raise click.UsageError("name a CREDENTIAL, or ask with --if-link-dies about all of them")
    folder = state or load_config(config_path).state_folder
    identity = load_identity(folder)
    quality = ClockQuality.NONE if clock_unknown else ClockQuality.SYNCED
    with look(folder) as seen:
        is_now = credential is not None and at_text is None and door is None
        device = Device(folder, identity, seen, kept_in(folder) if is_now else Kept())
        now = Now(0, _moment(at_text, _time_zone(seen, identity)), quality)
        here = _door(door, seen)
        shown = nothing(Direction(direction))
        if credential is not None:
            shown = _presented(credential, Direction(direction), here, now, device)
        stands = at_door(device.kept, seen, shown.row) if is_now else AtDoor()
        facts = Facts(
            read=shown.read,
            now=now,
            directory=seen.ref,
            row=shown.row,
            book=seen.book,
            door=DoorFacts(
                here,
                mode=stands.mode,
                lockdown=stands.lockdown if lockdown is None else lockdown,
                is_revoked=stands.is_revoked,
            ),
            presence=stands.presence,
            stale_s=kept_age_s(seen.kept.get) if offline_h is None else offline_h * _HOUR_S,
            passed=shown.passed,
        )
        if credential is None:
            found = survey(facts, seen.rows(), stale_s=facts.stale_s, q=quality)
            click.echo(_survey_json(found) if as_json else _survey_text(found))
            return
    explained = explain(facts)
    if as_json:
        click.echo(_json(facts, explained))
        return
    lines = _head(facts, explained, _time_zone(seen, identity), words_of(stands, shown.row) if is_now else [])
    click.echo("\n".join([*lines, "", *_rules(explained, is_whole=is_whole)]))


def _presented(text: str, direction: Direction, door: str, now: Now, device: Device) -> Presented:
    try:
        return presented(text, direction, door, now, device)
    except CredentialError as fault:
        raise click.UsageError(f"CREDENTIAL: {fault}") from fault


def _door(named: str | None, seen: Look) -> str:
    if seen.book is None:
        if named is not None:
            raise click.UsageError(f"--door: the directory has no book of the site, so no door {named!r}; leave it out")
        return ""
    if named is not None and named not in seen.book.doors:
        raise click.UsageError(f"--door: the site's book has no door {named!r}; it has {_listed(seen.book.doors)}")
    return named or seen.book.here


def _time_zone(seen: Look, identity: Identity) -> ZoneInfo:
    return zone_of(seen.book, seen.kept.get(ZONE_KEY), identity.time_zone) or ZoneInfo("UTC")


def _moment(text: str | None, tz: ZoneInfo) -> int:
    if text is None:
        return SystemTime().read().wall_ms
    try:
        at = datetime.fromisoformat(text)
    except ValueError as fault:
        raise click.UsageError(f"--at: {text!r} is no time; write it as 2027-01-13T07:30") from fault
    return int((at if at.tzinfo else at.replace(tzinfo=tz)).timestamp() * 1000)


def _head(facts: Facts, found: Explanation, tz: ZoneInfo, stands_so: list[str]) -> list[str]:
    """Return the decision and what it goes by, in lines of at most 80 columns."""
    decision, door = found.decision, facts.door.door or "this door"
    at = datetime.fromtimestamp(facts.now.wall_ms / 1000, UTC).astimezone(tz)
    lines = [f"{decision.outcome.upper()}: {decision.reason}"]
    lines.append(f"{door}, {facts.read.direction}, {at:%a %Y-%m-%d %H:%M:%S} {tz.key}, clock {facts.now.q}")
    lines += _directory_words(facts)
    if decision.member is not None:
        lines.append(f"held by {decision.holder} {decision.member}")
    lines += stands_so
    if decision.notices:
        lines.append(f"staff are told: {_listed(decision.notices)}")
    return [short for line in lines for short in wrapped(line, rest="  ")]


def _rules(found: Explanation, *, is_whole: bool) -> list[str]:
    """Return a line for each rule that says something, and how many do not; the whole table where it is asked for."""
    lines: list[str] = []
    for step in found.steps:
        if is_whole or step.verdict in _SAYS_SOMETHING:
            mark, says = (">" if step.is_decisive else " "), step.says if step.verdict in _SAYS_SOMETHING else ""
            lines += wrapped(f"{mark} {step.reason:<22}{_word(step.verdict):<15}{says}".rstrip(), rest=" " * 39)
    if is_whole:
        return lines
    counted = Counter(step.verdict for step in found.steps if step.verdict not in _SAYS_SOMETHING)
    silent = ", ".join(f"{counted[verdict]} {word}" for verdict, word in _SILENT.items() if counted[verdict])
    return [*lines, f"  the other rules: {silent}; --all lists them"] if silent else lines


def _word(verdict: Verdict) -> str:
    return verdict.replace("_", " ")


def _directory_words(facts: Facts) -> list[str]:
    ref = facts.directory
    if ref is None:
        return ["no directory yet"]
    book = "with the site's book" if facts.book is not None else "without a book"
    return [f"directory {ref.epoch} version {ref.ver} {book}", f"central last heard of {age_words(facts.stale_s)} ago"]


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
