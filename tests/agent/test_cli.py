import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from agent import __version__
from agent.cli import COMMANDS, doorstile
from agent.core.types import EventId
from agent.store.journal import Draft, Journal
from wire.events import DecisionBody, ModeBody, Receipt, Stamp, StartedBody
from wire.vocabulary import (
    ClockQuality,
    CredentialKind,
    Direction,
    DoorMode,
    EventKind,
    ModeCause,
    Outcome,
    Reason,
)

pytestmark = pytest.mark.unit


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(doorstile, list(words))
    return result.exit_code, result.output


async def write(folder: Path, events: int = 3) -> list[EventId]:
    journal = Journal.open(folder, device="d1")
    at = Stamp(boot="b", mono_ms=1, wall_ms=2, q=ClockQuality.NONE)
    ids = [await journal.append(Draft(EventKind.STARTED, at, StartedBody(agent="9.9"))) for _ in range(events)]
    await journal.close()
    return ids


def test_help_lists_every_verb_and_imports_none_of_them() -> None:
    script = (
        "import sys; from agent.cli import doorstile; doorstile(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert all(verb in out for verb in COMMANDS)
    imported = out.splitlines()[-1].split()
    assert not {"django", "websockets", "sqlite_utils", "gpiozero", "cryptography"} & set(imported)


def test_every_verb_exists() -> None:
    for target, line in COMMANDS.values():
        module, _, name = target.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert command.help
        assert line.endswith(".")


def test_an_unknown_verb_is_refused() -> None:
    code, out = run("dance")
    assert code == 2
    assert "No such command 'dance'" in out


def _groups(command: click.Command, path: str) -> Iterator[tuple[str, click.Group]]:
    if isinstance(command, click.Group):
        yield path, command
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from _groups(inner, f"{path} {name}")


def test_no_line_of_help_is_cut_off() -> None:
    for path, group in _groups(doorstile, "doorstile"):
        context = click.Context(group, info_name=path, terminal_width=80)
        _, listed = group.get_help(context).split("Commands:")
        assert "..." not in listed, (path, listed)


def test_version_names_program_protocol_and_python() -> None:
    assert run("version")[1].startswith(f"doorstile {__version__}, protocol 1 to 1, Python 3.")
    assert run("--version") == run("version")


@pytest.mark.parametrize(
    "words", [("hardware", "list"), ("hardware", "watch"), ("hardware", "test", "relay"), ("pass", "issue")]
)
def test_help_needs_neither_profile_nor_central(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOORSTILE_DATA", raising=False)
    code, out = run(*words, "--help")
    assert (code, f"Usage: doorstile {' '.join(words)}" in out or f"{words[-1]} [OPTIONS]" in out) == (0, True), out


def test_pass_without_a_central_says_which_folder_it_looked_in(tmp_path: Path) -> None:
    code, out = run("pass", "--data", str(tmp_path / "none"), "show", "x")
    assert (code, out) == (
        1,
        f"Error: no central in {tmp_path / 'none'} (there is no central.sqlite3 in it); give --data or DOORSTILE_DATA "
        "its folder, or start one: doorstile central\n",
    )


async def test_journal_tail_prints_the_newest_events(tmp_path: Path) -> None:
    *_, last = await write(tmp_path)
    code, out = run("journal", "--state", str(tmp_path), "tail", "-n", "1")
    assert code == 0
    assert f"{last.run[-4:]}-{last.n}" in out
    assert "agent=9.9" in out


async def test_journal_tail_says_when_and_what_before_the_credential_in_80_columns(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, device="d1")
    body = DecisionBody(
        door="North", reader="in", direction=Direction.IN, kind=CredentialKind.HF_UID, credential="ab" * 16,
        outcome=Outcome.DENY, reason=Reason.MEMBER_INACTIVE, member="m1",
        receipt=Receipt(dir_epoch="e1", dir_ver=1, rules=1, input=""),
    )  # fmt: skip
    at = Stamp(boot="b", mono_ms=1, wall_ms=1_799_928_000_000, q=ClockQuality.SYNCED)
    await journal.append(Draft(EventKind.DECISION, at, body))
    await journal.close()
    _, out = run("journal", "--state", str(tmp_path), "tail")
    assert f"*{datetime.fromtimestamp(1_799_928_000).astimezone():%Y-%m-%d %H:%M:%S} synced    decision" in out
    assert max(map(len, out.splitlines())) <= 80
    words = out.split()
    at_outcome = words.index("outcome=deny")
    assert words[at_outcome : at_outcome + 3] == ["outcome=deny", "reason=member_inactive", "member=m1"]
    assert words.index("credential=" + "ab" * 16) > at_outcome


@pytest.mark.parametrize("level", [0, 2])
async def test_journal_tail_tells_the_level_of_a_lockdown_and_its_release(tmp_path: Path, level: int) -> None:
    journal = Journal.open(tmp_path, device="d1")
    body = ModeBody(door="North", mode=DoorMode.CARD, cause=ModeCause.COMMAND, lockdown=level)
    at = Stamp(boot="b", mono_ms=1, wall_ms=1_799_928_000_000, q=ClockQuality.SYNCED)
    await journal.append(Draft(EventKind.MODE, at, body))
    await journal.close()
    assert f" lockdown={level} " in run("journal", "--state", str(tmp_path), "tail")[1]


async def test_journal_verify_counts_one_run_as_one(tmp_path: Path) -> None:
    await write(tmp_path)
    assert "3 events in 1 run, 3 not yet" in run("journal", "--state", str(tmp_path), "verify")[1]


async def test_journal_export_is_one_json_object_a_line(tmp_path: Path) -> None:
    ids = await write(tmp_path)
    _, out = run("journal", "--state", str(tmp_path), "export")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["run"], row["n"]) for row in rows] == [(id_.run, id_.n) for id_ in ids]
    assert all(len(row["digest"]) == 64 and not row["acked"] for row in rows)


async def test_journal_verify_tells_a_sound_journal_from_a_damaged_one(tmp_path: Path) -> None:
    await write(tmp_path)
    await write(tmp_path)
    code, out = run("journal", "--state", str(tmp_path), "verify")
    assert (code, "The journal is sound." in out) == (0, True), out
    path = tmp_path / "journal.db"
    path.write_bytes(path.read_bytes().replace(b'"agent":"9.9"', b'"agent":"9.8"'))
    code, out = run("journal", "--state", str(tmp_path), "verify", "--json")
    assert (code, json.loads(out)["sound"]) == (1, False)


def test_a_missing_journal_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(doorstile, ["journal", "--state", str(tmp_path), "verify"])
    assert "name its folder with --state" in str(result.exception)


def test_sim_without_an_agent_says_how_to_start_one(tmp_path: Path) -> None:
    code, out = run("sim", "--state", str(tmp_path), "tap", "04A1B2C3")
    assert code == 1
    assert f"doorstile run --profile simulated --state {tmp_path}" in out


def test_outputs_can_be_switched_off_without_an_agent() -> None:
    assert run("run", "--outputs-off", "--profile", "simulated") == (0, "")
    assert "profile: not named" in str(CliRunner().invoke(doorstile, ["run", "--outputs-off"]).exception)
    code, out = run("run", "--outputs-off", "--profile", "attic")
    assert code == 1
    assert "'attic' is not shipped" in out


def test_on_a_terminal_what_stops_the_agent_is_said_without_a_log_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["run", "--state", str(tmp_path), "--profile", "nonsuch"]
    monkeypatch.setattr("agent.commands.run._is_terminal", lambda: True)
    told = CliRunner().invoke(doorstile, words)
    assert told.exit_code == 1
    assert told.stderr.startswith("doorstile run: profile 'nonsuch' is not shipped")


def test_running_without_an_identity_says_how_to_join(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent", "run", "--state", str(tmp_path), "--profile", "simulated"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "doorstile join" in done.stderr
    assert "Traceback" not in done.stderr
