"""The keeper switches off what a dead agent left on: what lets through first, once the line is free, and only then."""

import errno
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from hardware import keeper
from hardware.gpiochips import GpioChip
from hardware.keeper import PROGRAM, Keeper, command_for
from hardware.outputs.reports import LATE_MS, Reports
from hardware.pins import last_word
from hardware.profiles import load_profile
from tests.hardware.test_profiles import RELAY, real

pytestmark = pytest.mark.unit

HEADER = GpioChip("/dev/gpiochip0", "pinctrl-bcm2711", 54)


def _profile(tmp_path: Path) -> Path:
    path = tmp_path / "door.toml"
    path.write_text(real(RELAY))
    return path


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "gpio_chips", lambda dev: [HEADER])


class Kernel:
    """Takes requests for lines; the first ones of a line are answered by an error."""

    def __init__(self, errors: list[int]) -> None:
        self.errors = errors
        self.asked: list[bytes] = []

    def ioctl(self, chip: int, number: int, request: bytes) -> bytes:
        assert number == last_word.GET_LINE
        self.asked.append(request)
        if self.errors:
            raise OSError(self.errors.pop(0), "refused")
        return request


def _kernel(monkeypatch: pytest.MonkeyPatch, *errors: int) -> Kernel:
    kernel = Kernel(list(errors))
    monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
    monkeypatch.setattr(select, "select", lambda *_: None)
    return kernel


@pytest.mark.parametrize("level", [0, 1])
def test_a_request_is_what_the_kernel_expects(level: int) -> None:
    made = last_word.request(17, level)
    assert (len(made), last_word.GET_LINE >> 16 & 0x3FFF) == (592, 592)
    assert struct.unpack_from("=I", made) == (17,)
    assert made[256:288].rstrip(b"\0") == b"doorstile-keeper"
    flags, attributes = struct.unpack_from("=QI", made, 288)
    assert (flags, attributes) == (1 << 3, 1)
    assert struct.unpack_from("=IIQQ", made, 320) == (2, 0, level, 1)
    assert struct.unpack_from("=I", made, 560) == (1,)


def test_the_lines_of_a_profile_are_kept_each_at_the_level_at_which_it_is_off(tmp_path: Path, board: None) -> None:
    command = command_for(load_profile(_profile(tmp_path)), Path("/dev"))
    assert command is not None
    assert command[:5] == [sys.executable, "-I", "-S", str(PROGRAM), str(os.getpid())]
    profile = load_profile(_profile(tmp_path))
    expected = [f"{facts.line}={0 if facts.active_high else 1}" for facts in profile.gpio_lines.values()]
    assert command[5:] == ["/dev/gpiochip0", *expected]
    assert expected[0].startswith("17=")


def test_there_is_none_without_a_board_or_without_lines(tmp_path: Path) -> None:
    assert command_for(load_profile(_profile(tmp_path)), tmp_path) is None
    none = Keeper.over(load_profile("simulated"), Reports(), dev=tmp_path)
    assert none.pid is None
    none.dismiss()


def test_a_line_that_is_still_held_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = _kernel(monkeypatch, errno.EBUSY, errno.EBUSY)
    assert last_word.rest(9, {17: 0}) == {}
    assert len(kernel.asked) == 3


def test_a_line_that_somebody_new_holds_is_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = _kernel(monkeypatch, *[errno.EBUSY] * (last_word.TRIES + 1))
    assert last_word.rest(9, {17: 0}) == {17: errno.EBUSY}
    assert len(kernel.asked) == last_word.TRIES


def test_a_line_that_cannot_be_had_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = _kernel(monkeypatch, errno.ENODEV)
    assert last_word.rest(9, {17: 0}) == {17: errno.ENODEV}
    assert len(kernel.asked) == 1


def _main(monkeypatch: pytest.MonkeyPatch, said: bytes, chip: Path) -> int:
    """Run the keeper's program with the agent's end of the pipe closed after it said so much."""
    ours, theirs = os.pipe()
    os.write(theirs, said)
    os.close(theirs)
    is_left = last_word.is_left_to_us
    monkeypatch.setattr(last_word, "is_left_to_us", lambda _, agent: is_left(ours, agent))
    try:
        return last_word.main(["1", str(chip), "17=0", "23=1"])
    finally:
        os.close(ours)


def test_an_agent_that_died_has_its_lines_switched_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kernel, chip = _kernel(monkeypatch), tmp_path / "chip"
    chip.touch()
    assert _main(monkeypatch, b"", chip) == 0
    assert kernel.asked == [last_word.request(17, 0), last_word.request(23, 1)]
    assert "its lines are at rest, but for: none" in capfd.readouterr().err


def test_one_line_that_cannot_be_had_does_not_keep_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kernel, chip = _kernel(monkeypatch, errno.ENODEV), tmp_path / "chip"
    chip.touch()
    assert _main(monkeypatch, b"", chip) == 1
    assert len(kernel.asked) == 2
    assert "GPIO17: No such device" in capfd.readouterr().err


def test_an_agent_that_ended_well_has_nothing_touched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kernel, chip = _kernel(monkeypatch), tmp_path / "chip"
    chip.touch()
    assert _main(monkeypatch, b".", chip) == 0
    assert kernel.asked == []


def test_the_process_waits_for_the_agent_in_little_memory_and_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    chip = tmp_path / "gpiochip0"
    chip.touch()
    monkeypatch.setattr(keeper, "gpio_chips", lambda dev: [GpioChip(str(chip), "gpio-sim", 54)])
    kept = Keeper.over(load_profile(_profile(tmp_path)), Reports())
    status = Path(f"/proc/{kept.pid}/status")
    assert "VmRSS" in status.read_text()
    kept.dismiss()
    assert not status.exists()
    kept.dismiss()


def test_the_process_acts_when_the_pipe_breaks_without_a_word(tmp_path: Path) -> None:
    chip = tmp_path / "chip"
    chip.touch()
    command = [sys.executable, "-I", "-S", str(PROGRAM), "1", str(chip), "17=0"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20)
    assert (done.returncode, b"GPIO17: Inappropriate ioctl" in done.stderr) == (1, True)


def test_a_keeper_that_cannot_be_started_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, board: None, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    assert Keeper.over(load_profile(_profile(tmp_path)), Reports()).pid is None
    assert "no keeper" in caplog.text


STOPPED = """
import os, signal, subprocess, sys, time
from hardware.keeper import Keeper
from hardware.outputs.reports import Reports
command, reports = [sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), sys.argv[2], "17=0"], Reports()
keeper = Keeper(subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, process_group=0), reports)
now = time.monotonic_ns() // 1_000_000
reports.on(23, now + 100)
reports.off(23)
reports.on(17, now + int(sys.argv[3]) - {late})
os.kill(os.getpid(), signal.SIGSTOP)
reports.off(17)
keeper.dismiss()
"""


def _stopped(tmp_path: Path, until_ms: int) -> subprocess.Popen[bytes]:
    """Start an agent that is stopped, as a whole, in the middle of a pulse."""
    chip = tmp_path / "chip"
    chip.touch()
    script = STOPPED.format(late=LATE_MS)
    words = [sys.executable, "-c", script, str(PROGRAM), str(chip), str(until_ms)]
    return subprocess.Popen(words, stderr=subprocess.PIPE, cwd=Path(keeper.__file__).parents[1])


def test_a_stopped_agent_is_killed_at_the_end_of_its_pulse_and_its_line_switched_off(tmp_path: Path) -> None:
    agent = _stopped(tmp_path, 400)
    _, said = agent.communicate(timeout=20)
    assert agent.returncode == -signal.SIGKILL
    assert b"a line is on past its ceiling" in said
    assert b"its lines are at rest, but for: GPIO17: Inappropriate ioctl" in said, "what a plain file answers"


def test_an_agent_that_goes_on_in_time_is_left_alone(tmp_path: Path) -> None:
    agent = _stopped(tmp_path, 20_000)
    os.waitid(os.P_PID, agent.pid, os.WSTOPPED)
    agent.send_signal(signal.SIGCONT)
    assert (agent.communicate(timeout=15)[1], agent.returncode) == (b"", 0)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ours, theirs = os.pipe()
    yield ours, theirs
    for each in (ours, theirs):
        with suppress(OSError):
            os.close(each)


def _left(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int], said: bytes) -> list[int]:
    """Let the keeper hear something; return whom it killed until its agent died or said that all was off."""
    killed: list[int] = []

    def end(agent: int) -> None:
        killed.append(agent)
        os.close(pipe[1])

    monkeypatch.setattr(last_word, "end", end)
    monkeypatch.setattr(last_word, "SECOND_CHANCE_MS", 1)
    os.write(pipe[1], said)
    assert last_word.is_left_to_us(pipe[0], 77) is bool(killed)
    return killed


@pytest.mark.parametrize(
    ("said", "killed"),
    [
        (b"17 1\n", [77]),
        (b"17 1\n17 0\n.", []),
        (b"17 1\n17 %d\n27 0\n.", []),
        (b"17 1\n27 1\n27 0\n", [77]),
        (b"17 %d\n17 1\n", [77]),
    ],
)
def test_an_agent_is_killed_for_a_line_that_is_on_and_late(
    monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int], said: bytes, killed: list[int]
) -> None:
    later = b"%d" % (time.monotonic_ns() // 1_000_000 + 60_000)
    assert _left(monkeypatch, pipe, said.replace(b"%d", later)) == killed


def test_nobody_is_killed_who_took_the_number_of_a_dead_agent(capfd: pytest.CaptureFixture[str]) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    last_word.end(bystander.pid)
    assert (bystander.poll(), capfd.readouterr().err) == (None, "")
    bystander.communicate(b"\n", timeout=20)


def test_reports_are_a_line_of_text_each(pipe: tuple[int, int]) -> None:
    reports = Reports()
    reports.on(17, 1_000)
    reports.begin(pipe[1])
    reports.off(17)
    reports.on(17, 1_000)
    reports.on(17, 2_000)
    reports.off(17)
    reports.off(17)
    reports.end()
    reports.on(17, 3_000)
    assert os.read(pipe[0], 4096) == b"17 %d\n17 %d\n17 0\n" % (1_000 + LATE_MS, 2_000 + LATE_MS)


def test_reports_to_a_keeper_that_does_not_read_stop_and_no_end_is_lost(pipe: tuple[int, int]) -> None:
    reports = Reports()
    reports.begin(pipe[1])
    for at in range(20_000):
        reports.on(17, at)
        reports.off(17)
    told = b"".join(iter(lambda: os.read(pipe[0], 65_536) if select.select([pipe[0]], [], [], 0)[0] else b"", b""))
    assert 10_000 < len(told) < 40_000
    assert told.endswith(b"17 0\n")
    reports.on(17, 5)
    assert os.read(pipe[0], 4096) == b"17 %d\n" % (5 + LATE_MS)


def test_reports_to_a_keeper_that_is_gone_keep_nobody_out(pipe: tuple[int, int]) -> None:
    reports = Reports()
    reports.begin(pipe[1])
    os.close(pipe[0])
    reports.on(17, 1_000)
    reports.off(17)
    os.close(pipe[1])
    reports.on(17, 1_000)
