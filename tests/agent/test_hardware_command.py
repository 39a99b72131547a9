"""`doorstile hardware`: what is printed, in words and as JSON, and how it exits."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent.cli import doorstile
from hardware.base import Emit, EmitChange
from hardware.discover import Found
from hardware.errors import HardwareError
from hardware.inputs.simulated import SimInput
from hardware.sim import SimReader
from tests.hardware.test_profiles import RELAY

pytestmark = pytest.mark.unit

CARD = bytes.fromhex("04A1B2C3D4E5F6")


@pytest.fixture(autouse=True)
def empty_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.commands.hardware.look", lambda: Found(pcsc_problem="no service; start pcscd"))


def run(*arguments: str, profile: str = "simulated", typed: str | None = None) -> Result:
    return CliRunner().invoke(doorstile, ["hardware", "--profile", profile, *arguments], input=typed)


def run_json(*arguments: str, profile: str = "simulated") -> tuple[int, list[dict[str, Any]]]:
    result = run(*arguments, "--json", profile=profile)
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


Act = Callable[[SimReader], None]
Move = Callable[[SimInput], None]


def live(monkeypatch: pytest.MonkeyPatch, *, reader: Act, part: Move) -> None:
    """Let simulated people act as soon as somebody listens."""

    class LiveReader(SimReader):
        async def run(self, emit: Emit) -> None:
            asyncio.get_running_loop().call_soon(reader, self)
            await super().run(emit)

    class LiveInput(SimInput):
        async def run(self, emit: EmitChange) -> None:
            asyncio.get_running_loop().call_soon(part, self)
            await super().run(emit)

    monkeypatch.setattr("hardware.sim.build_reader", lambda section, bench: LiveReader(section.name))
    monkeypatch.setattr(
        "hardware.inputs.simulated.build_input", lambda section, bench: LiveInput(section.name, section.role)
    )


def nobody(thing: object) -> None:
    """Does nothing."""


def tap(reader: SimReader) -> None:
    if reader.name == "in":
        reader.tap(CARD)


def test_list_says_what_is_there_and_what_would_fit() -> None:
    result = run("list")
    assert result.exit_code == 0
    assert "profile simulated: " in result.stdout
    assert "  readers.in           there    simulated" in result.stdout
    assert "fits: simulated (no reader was found; plug one in," in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_list_exits_with_5_where_something_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "door.toml"
    path.write_text(RELAY)
    result = run("list", profile=str(path))
    assert result.exit_code == 5
    assert "strike               missing  gpio GPIO17" in result.stdout
    status, (listing,) = run_json("list", profile=str(path))
    assert status == 5
    assert {row["key"]: row["presence"] for row in listing["parts"]}["readers.in"] == "unknown"
    assert (listing["profile"], listing["proposal"]["profile"]) == ("door", "simulated")


def test_list_keeps_to_80_columns_and_breaks_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = "pyscard is missing (No module named 'smartcard'); apt install python3-pyscard"
    monkeypatch.setattr("agent.commands.hardware.look", lambda: Found(pcsc_problem=problem))
    result = run("list", profile="acr122u-door")
    assert "apt install python3-pyscard\n" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_unknown_profile_is_a_fault_in_one_line() -> None:
    result = run("list", profile="nonesuch")
    assert result.exit_code == 5
    assert "profile 'nonesuch' is not shipped" in result.stderr


def test_watch_masks_what_it_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    live(monkeypatch, reader=tap, part=SimInput.touch)
    result = run("watch", "--seconds", "0.05")
    assert result.exit_code == 0
    assert "04 A1 ** ** ** ** F6" in result.stdout
    assert "contact active" in result.stdout
    assert CARD.hex().upper() not in result.stdout.replace(" ", "").upper()
    _, events = run_json("watch", "--seconds", "0.05")
    (read,) = [event for event in events if "read" in event]
    assert (read["source"], read["read"], read["length"]) == ("in", "04 A1 ** ** ** ** F6", 7)
    assert {"contact", "rex"} <= {event["role"] for event in events if "role" in event}


def test_reader_that_reads_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    live(monkeypatch, reader=tap, part=nobody)
    assert run("test", "reader", "in", "--timeout-s", "5").stdout.endswith("reader: ok, in read 04 A1 ** ** ** ** F6\n")
    status, (result,) = run_json("test", "reader", "--timeout-s", "5")
    assert (status, result["passed"]) == (0, True)


def test_reader_that_reads_nothing_fails_and_says_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    live(monkeypatch, reader=SimReader.torn, part=nobody)
    result = run("test", "reader", "--timeout-s", "0.05")
    assert result.exit_code == 5
    assert "reader: failed, no read within 0.05 s; it said torn_read, torn_read" in result.stdout


@pytest.mark.parametrize(
    "words",
    [("watch", "--seconds", "0"), ("test", "reader", "--timeout-s", "0"), ("test", "inputs", "--timeout-s", "0")],
)
def test_whoever_waits_for_simulated_people_is_told_where_they_are(words: tuple[str, ...]) -> None:
    told = " ".join(run(*words).stderr.split())
    assert "nobody works them here: in, out, contact" in told
    assert "For those of a running agent: doorstile sim" in told


@pytest.mark.parametrize("words", [("relay",), ("relay", "--yes"), ("relay", "--heard", "yes"), ("signals",)])
def test_json_without_a_terminal_says_which_answers_it_needs(words: tuple[str, ...]) -> None:
    result = run("test", *words, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--json without a terminal asks nobody; it needs --" in " ".join(result.stderr.split())


def test_relay_of_a_simulated_lock_says_that_nothing_is_recorded() -> None:
    result = run("test", "relay", "--pulse-s", "0.05", "--yes", "--heard", "yes")
    assert "simulated: no door opens, so nothing is recorded" in result.stderr


def test_reader_that_the_profile_lacks_is_a_usage_error() -> None:
    result = run("test", "reader", "side")
    assert (result.exit_code, "no reader 'side'; the profile has in, out" in result.stderr) == (2, True)


def test_relay_opens_only_after_it_was_agreed_to() -> None:
    result = run("test", "relay", "--pulse-s", "0.05", typed="n\n")
    assert result.exit_code == 1
    assert "This opens the door for 0.05 s" in result.stderr
    assert "was on" not in result.stdout


def test_relay_passes_when_somebody_heard_it() -> None:
    heard = run("test", "relay", "--pulse-s", "0.05", typed="y\ny\n")
    assert (heard.exit_code, "relay: ok, strike was on for" in heard.stdout) == (0, True)
    silent = run("test", "relay", "--pulse-s", "0.05", "--yes", "--heard", "no")
    assert (silent.exit_code, "relay: failed" in silent.stdout) == (5, True)


def test_relay_of_a_turnstile_has_ways() -> None:
    status, (result,) = run_json(
        "test", "relay", "--way", "out", "--pulse-s", "0.05", "--yes", "--heard", "yes", profile="simulated-turnstile"
    )
    assert (status, result["passed"]) == (0, True)
    assert result["detail"].startswith("turnstile out was on for")


def test_pulse_above_the_ceiling_is_refused() -> None:
    result = run("test", "relay", "--pulse-s", "9", "--yes", "--heard", "yes")
    assert result.exit_code == 5
    assert "outside 0 to 8.0 s" in result.stderr


def test_kiosk_has_no_relay_and_no_inputs() -> None:
    assert "has no lock" in run("test", "relay", profile="acr122u-kiosk").stderr
    assert "has no inputs" in run("test", "inputs", profile="acr122u-kiosk").stderr


def test_signals_are_named_as_they_come_and_pass_when_somebody_saw_them() -> None:
    result = run("test", "signals", "--each-s", "0", typed="y\n")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:3] == ["light off", "light ready", "light granted"]
    assert "buzzer denied" in result.stdout
    status, (told,) = run_json("test", "signals", "--each-s", "0", "--seen", "no")
    assert (status, told["detail"]) == (5, "seen: no")


def test_inputs_pass_when_both_edges_were_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    live(monkeypatch, reader=nobody, part=SimInput.touch)
    result = run("test", "inputs", "--timeout-s", "5")
    assert result.exit_code == 0
    assert "inputs: ok, all seen both ways" in result.stdout
    status, (found,) = run_json("test", "inputs", "--input", "rex", "--timeout-s", "5")
    assert (status, found["seen"]) == (0, {"rex": ["inactive", "active"]})


def test_input_that_moves_one_way_fails_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    live(monkeypatch, reader=nobody, part=lambda one: one.become(is_active=True))
    result = run("test", "inputs", "--input", "rex", "--timeout-s", "0.05")
    assert result.exit_code == 5
    assert "inputs: failed, not seen both ways within 0.05 s: rex" in result.stdout


def test_input_that_the_profile_lacks_is_a_usage_error() -> None:
    result = run("test", "inputs", "--input", "bell")
    assert (result.exit_code, "no input 'bell'; the profile has contact" in result.stderr) == (2, True)


def test_driver_that_cannot_be_had_hints_at_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(section: object, bench: object) -> None:
        raise HardwareError("in cannot be claimed (busy)")

    monkeypatch.setattr("hardware.sim.build_reader", busy)
    result = run("watch", "--seconds", "0")
    assert result.exit_code == 5
    assert "in cannot be claimed (busy); a running agent holds its hardware: systemctl stop" in result.stderr


def test_driver_that_fails_meanwhile_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(SimReader):
        async def run(self, emit: Emit) -> None:
            raise HardwareError("in on GPIO5 cannot be read")

    monkeypatch.setattr("hardware.sim.build_reader", lambda section, bench: Broken(section.name))
    result = run("watch")
    assert result.exit_code == 5
    assert "in on GPIO5 cannot be read" in result.stderr


def test_bug_in_a_driver_is_not_called_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bug(SimReader):
        async def run(self, emit: Emit) -> None:
            raise ZeroDivisionError

    monkeypatch.setattr("hardware.sim.build_reader", lambda section, bench: Bug(section.name))
    assert isinstance(run("watch").exception, BaseExceptionGroup)


def test_watch_ends_quietly_when_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupting(SimReader):
        async def run(self, emit: Emit) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr("hardware.sim.build_reader", lambda section, bench: Interrupting(section.name))
    assert run("watch").exit_code == 0
