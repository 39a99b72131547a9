import asyncio
import random
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from demo.command import demo
from demo.compare import Comparison
from demo.play import STRANGER, Crowd
from demo.processes import DemoError, doorstile, kill, output_of, running, stop
from demo.staff import Staff
from demo.world import Card, Setup, free_port, world

CARDS = [Card(uid=f"04{number:012X}", member=f"Member {number}") for number in range(6)]


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_play_ends_with_both_sides_equal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent", "demo", "--check", "--keep", str(tmp_path)]
    played = subprocess.run(command, capture_output=True, text=True, check=False)
    assert played.returncode == 0, played.stdout + played.stderr
    recorded = re.search(r"recorded +(\d+) +(\d+)", played.stdout)
    assert recorded is not None
    assert int(recorded[1]) == int(recorded[2]) > 60
    for line in ("none lost, none twice", "is refused", "killed (SIGKILL)", "unlocked", "locked again"):
        assert line in played.stdout
    assert played.stdout.endswith("Both sides are equal.\n")


@pytest.mark.parametrize("taken", ["--port", "--kiosk-port"])
def test_a_taken_port_is_told_before_anything_starts(taken: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ports = {"--port": str(free_port()), "--kiosk-port": str(free_port()), taken: str(port)}
        words = [word for pair in ports.items() for word in pair]
        result = CliRunner().invoke(demo, [*words, "--keep", str(tmp_path / "kept")])
    assert result.exit_code == 1
    assert f'port {port} is in use; try: make demo ARGS="--port ' in result.output
    assert not (tmp_path / "kept").exists()


async def test_a_central_that_ended_is_not_taken_for_who_answers_on_its_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def somebody_answers(_staff: Staff) -> bool:
        while "no room" not in (tmp_path / "central.log").read_text():
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)  # the process ends after its last words
        return True

    monkeypatch.setattr(Staff, "is_up", somebody_answers)
    ended = (sys.executable, "-c", "raise SystemExit('no room')")
    with pytest.raises(DemoError, match=r"central ended:\nno room"):
        async with world(tmp_path, Setup(central_command=ended)):
            pass


def test_every_difference_between_the_sides_counts() -> None:
    same = {("aa", 1): "d1", ("aa", 2): "d2"}
    assert Comparison(same, same, twice=0, visits=1, dead_letters=0).is_equal
    different = [
        Comparison(same, {("aa", 1): "d1"}, twice=0, visits=1, dead_letters=0),
        Comparison({("aa", 1): "d1"}, same, twice=0, visits=1, dead_letters=0),
        Comparison(same, {**same, ("aa", 2): "dX"}, twice=0, visits=1, dead_letters=0),
        Comparison(same, same, twice=1, visits=1, dead_letters=0),
        Comparison(same, same, twice=0, visits=1, dead_letters=1),
    ]
    assert not any(comparison.is_equal for comparison in different)


def test_the_crowd_enters_leaves_and_brings_a_stranger_now_and_then() -> None:
    crowd = Crowd(CARDS, random.Random(1))
    moves = [crowd.next() for _ in range(90)]
    assert sum(card is STRANGER for card, _ in moves) == 10
    inside: set[str] = set()
    for card, reader in moves:
        if card is STRANGER:
            continue
        assert (card.uid in inside) == (reader == "out"), "nobody leaves who is not inside, or enters twice"
        inside ^= {card.uid}


async def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"No such command 'dance'"):
        await output_of(doorstile("dance"))
    with pytest.raises(DemoError, match=r"did not end within 0.2 s"):
        await output_of([sys.executable, "-c", "import threading; threading.Event().wait()"], timeout_s=0.2)


async def test_a_program_that_ignores_the_request_to_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demo.processes.STOP_TIMEOUT_S", 0.2)
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause()"
    async with running("deaf", [sys.executable, "-c", deaf], tmp_path) as process:
        while "up" not in (tmp_path / "deaf.log").read_text():
            await asyncio.sleep(0.01)
        await stop(process)
        assert process.returncode == -9
        await kill(process)


async def test_staff_is_told_when_central_is_not_there() -> None:
    staff = Staff(f"http://127.0.0.1:{free_port()}")
    assert not await staff.is_up()
    with pytest.raises(OSError, match="central at"):
        await staff.figures()
