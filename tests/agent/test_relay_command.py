"""A relay that a technician tries out opens a door: it is on the disk before, and nothing opens where it cannot be."""

import asyncio
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli import doorstile
from agent.errors import IdentityError, StoreFullError
from agent.identity import save_identity
from agent.store.inspect import inspect
from agent.store.journal import Journal
from agent.store.types import Draft, JournalLimits
from agent.witnessing import as_owner_of, witnessed
from hardware.errors import HardwareError
from hardware.outputs import gpio
from hardware.outputs.pulse import PulsedStrike
from tests.fakes.link_parts import identity_for
from tests.hardware.test_profiles import RELAY
from wire.events import Body, CommandBegunBody, CommandResultBody, StartedBody, read_body, read_event
from wire.vocabulary import CommandState, EventKind

pytestmark = pytest.mark.unit

ACTOR = "relay test by Kim"
DEVICE = identity_for("http://127.0.0.1:1").device


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    save_identity(folder, identity_for("http://127.0.0.1:1"))
    return folder


def tried(state: Path, tmp_path: Path, *more: str) -> Result:
    path = tmp_path / "door.toml"
    path.write_text(RELAY)
    words = ["hardware", "--profile", str(path), "--state", str(state), "test", "relay", "--yes", "--heard", "yes"]
    return CliRunner().invoke(doorstile, [*words, "--pulse-s", "0.05", *more])


def recorded(state: Path) -> list[Body | None]:
    with inspect(state) as journal:
        bodies = [read_body(read_event(shown.text)) for shown in journal.export() if shown.text is not None]
        assert journal.verify().is_sound
    return bodies


def test_opening_is_in_the_journal_with_who_asked_and_how_it_ended(state: Path, tmp_path: Path) -> None:
    result = tried(state, tmp_path)
    assert (result.exit_code, "strike was on for" in result.stdout) == (0, True), result.output
    assert "nothing is recorded" not in result.stderr
    started, begun, ended = recorded(state)
    assert isinstance(started, StartedBody)
    assert isinstance(begun, CommandBegunBody)
    assert isinstance(ended, CommandResultBody)
    assert started.reason == "relay_test"
    assert begun.actor.startswith("relay test by ")
    assert (ended.id, ended.state, ended.code, ended.out) == (begun.id, CommandState.DONE, "pulsed", begun.actor)


def test_opening_is_durable_before_the_line_moves(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    switch_on = gpio.GpioLine.on

    def on(line: gpio.GpioLine) -> None:
        if "strike" in line._what:
            seen.append(len(recorded(state)))
        switch_on(line)

    monkeypatch.setattr(gpio.GpioLine, "on", on)
    assert tried(state, tmp_path).exit_code == 0
    assert seen == [2]


@pytest.mark.parametrize("missing", ["identity", "room"])
def test_nothing_opens_that_cannot_be_recorded(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    pulses: list[float] = []

    async def pulse(strike: PulsedStrike, duration_s: float) -> None:
        pulses.append(duration_s)

    monkeypatch.setattr(PulsedStrike, "pulse", pulse)
    if missing == "identity":
        (state / "identity.json").unlink()
    else:

        async def append_many(journal: Journal, drafts: list[Draft]) -> None:
            raise StoreFullError("the journal is full")

        monkeypatch.setattr(Journal, "append_many", append_many)
    result = tried(state, tmp_path)
    assert result.exit_code == 5, result.output
    assert "nothing opens without a record" in result.stderr
    assert pulses == []


async def test_relay_of_a_door_whose_agent_runs_is_not_tried(state: Path, tmp_path: Path) -> None:
    journal = Journal.open(state, device=DEVICE)
    try:
        result = await asyncio.to_thread(tried, state, tmp_path)
    finally:
        await journal.close()
    assert result.exit_code == 5
    assert f"in use by process {os.getpid()}" in result.stderr


def test_lock_that_fails_is_recorded_as_failed(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def pulse(strike: PulsedStrike, duration_s: float) -> None:
        raise HardwareError("strike on GPIO17 cannot be switched on")

    monkeypatch.setattr(PulsedStrike, "pulse", pulse)
    assert tried(state, tmp_path).exit_code == 5
    ended = recorded(state)[-1]
    assert isinstance(ended, CommandResultBody)
    assert (ended.state, ended.code) == (CommandState.FAILED, "lock")


async def test_crash_in_between_leaves_a_promise_that_the_next_start_ends(state: Path) -> None:
    async def dies() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await witnessed(state, JournalLimits(), ACTOR, dies)
    journal = Journal.open(state, device=DEVICE)
    try:
        (promise,) = journal.open_promises()
        assert promise.key.startswith("unlock:")
    finally:
        await journal.close()


async def test_device_that_has_not_joined_has_no_journal_to_write_to(tmp_path: Path) -> None:
    async def never() -> None:
        pytest.fail("it was done without a record")

    with pytest.raises(IdentityError, match="has not joined"):
        await witnessed(tmp_path, JournalLimits(), ACTOR, never)


def test_root_works_as_whoever_owns_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    became: list[tuple[str, int]] = []
    owner = tmp_path.stat()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "seteuid", lambda uid: became.append(("user", uid)))
    monkeypatch.setattr(os, "setegid", lambda gid: became.append(("group", gid)))
    monkeypatch.setattr(Path, "stat", lambda _, **__: os.stat_result((0, 0, 0, 1, 995, 994, *owner[6:])))
    with as_owner_of(tmp_path):
        assert became == [("group", 994), ("user", 995)]
    assert became[2:] == [("user", 0), ("group", 0)]


def test_nobody_else_changes_who_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "seteuid", lambda _: pytest.fail("it did"))
    with as_owner_of(tmp_path), as_owner_of(tmp_path / "absent"):
        assert EventKind.STARTED


def test_who_asked_is_whoever_became_root_for_it(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "kim")
    assert tried(state, tmp_path).exit_code == 0
    begun = recorded(state)[1]
    assert isinstance(begun, CommandBegunBody)
    assert begun.actor == ACTOR.replace("Kim", "kim")
