"""`doorstile journal`: look at the device's record without touching it, while the agent runs or after it died."""

import json
import sys
from pathlib import Path

import click

from agent.config import load_config
from agent.store.inspect import Shown, Verdict, inspect


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
    """Print the newest events, oldest first."""
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
    """Check every row, the hash chain, the cursors and the witness; exit with 1 where something is wrong."""
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
    said = " ".join(f"{name}={value}" for name, value in event["body"].items() if isinstance(value, str))
    mark = " " if shown.is_acked else "*"
    return f"{shown.run[-4:]}-{shown.n:<6}{mark}{event['kind']:<15} {said}"[:160]


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
    lines = [f"{rows} events in {len(verdict.runs)} runs, {waiting} not yet acknowledged"]
    lines += [f"declared lost: {loss.first} to {loss.to} of run {loss.run} ({loss.why})" for loss in verdict.losses]
    lines += [f"WRONG: {fault}" for fault in verdict.faults]
    lines.append("The journal is sound." if verdict.is_sound else "Restart the agent: it sets the file aside and saves")
    if not verdict.is_sound:
        lines.append("every readable event.")
    return "\n".join(lines)
