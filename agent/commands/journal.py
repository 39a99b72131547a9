"""`doorstile journal`: look at the device's record without touching it, while the agent runs or after it died."""

import json
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from agent.config import load_config
from agent.store.inspect import Shown, Verdict, inspect
from wire.vocabulary import EventKind

_COLUMNS: Final = 80
_FIRST: Final = ("outcome", "reason", "member", "name", "state", "code")
"""What a reader looks for, named before the rest of an event."""


@click.group()
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="The agent's configuration.")
@click.option("--state", type=click.Path(path_type=Path), help="The agent's state folder.")
@click.pass_context
def journal(ctx: click.Context, config_path: Path | None, state: Path | None) -> None:
    """Look into the device's journal; nothing is ever changed."""
    ctx.obj = state or load_config(config_path).state_folder


@journal.command()
@click.option("-n", "--events", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def tail(folder: Path, events: int, as_json: bool) -> None:
    """Print the newest events, oldest first.

    Each with its number, the local time and how far to trust it, and what happened. A star marks what central has not
    acknowledged yet.
    """
    with inspect(folder) as journal:
        for shown in journal.tail(events):
            click.echo(_as_json(shown) if as_json else _as_line(shown))


@journal.command()
@click.pass_obj
def export(folder: Path) -> None:
    """Print every event with its digest, one JSON object a line."""
    with inspect(folder) as journal:
        for shown in journal.export():
            click.echo(_as_json(shown))


@journal.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def verify(folder: Path, as_json: bool) -> None:
    """Check every row, the hash chain and the witness.

    The cursors as well. Exits with 1 where something is wrong.
    """
    with inspect(folder) as journal:
        verdict = journal.verify()
    click.echo(_verdict_json(verdict) if as_json else _verdict_text(verdict))
    if not verdict.is_sound:
        sys.exit(1)


def _as_json(shown: Shown) -> str:
    event = json.loads(shown.text) if shown.text is not None else None
    return json.dumps(
        {"run": shown.run, "n": shown.n, "digest": shown.digest.hex(), "acked": shown.is_acked, "event": event},
        separators=(",", ":"),
    )


def _as_line(shown: Shown) -> str:
    if shown.text is None:
        return f"{shown.run[-4:]}-{shown.n:<6} (only its digest was kept)"
    event = json.loads(shown.text)
    mark = " " if shown.is_acked else "*"
    at = datetime.fromtimestamp(event["wall_ms"] / 1000, UTC).astimezone()
    head = f"{shown.run[-4:]}-{shown.n:<6}{mark}{at:%Y-%m-%d %H:%M:%S} {event['q']:<9} {event['kind']:<11}"
    return textwrap.fill(
        f"{head} {' '.join(_said(event['kind'], event['body']))}",
        _COLUMNS,
        subsequent_indent=" " * 12,
        break_on_hyphens=False,
    )


def _said(kind: str, body: dict[str, Any]) -> list[str]:
    """Return the texts of an event's body, those first that a reader looks for; a change of mode has its level too."""
    names = sorted(body, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    level = [f"lockdown={body.get('lockdown', 0)}"] if kind == EventKind.MODE else []
    return level + [f"{name}={body[name]}" for name in names if isinstance(body[name], str)]


def _verdict_json(verdict: Verdict) -> str:
    return json.dumps(
        {
            "sound": verdict.is_sound,
            "store": verdict.store,
            "device": verdict.device,
            "runs": [
                {"run": r.run, "ord": r.ord, "rows": r.rows, "pruned": r.pruned, "acked": r.acked, "last": r.last}
                for r in verdict.runs
            ],
            "losses": [
                {"run": loss.run, "from": loss.first, "to": loss.to, "why": loss.why} for loss in verdict.losses
            ],
            "open": [promise.key for promise in verdict.promises if promise.outcome is None],
            "faults": list(verdict.faults),
        },
        indent=2,
    )


def _verdict_text(verdict: Verdict) -> str:
    rows = sum(run.rows for run in verdict.runs)
    waiting = sum(run.last - run.acked for run in verdict.runs)
    runs = len(verdict.runs)
    lines = [f"{_counted(rows, 'event')} in {_counted(runs, 'run')}, {waiting} not yet acknowledged"]
    lines += [f"declared lost: {loss.first} to {loss.to} of run {loss.run} ({loss.why})" for loss in verdict.losses]
    lines += [f"WRONG: {fault}" for fault in verdict.faults]
    lines.append("The journal is sound." if verdict.is_sound else "Restart the agent: it sets the file aside and saves")
    if not verdict.is_sound:
        lines.append("every readable event.")
    return "\n".join(lines)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
