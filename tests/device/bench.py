"""The part of the harness inside the guest: runs commands and works devices, asked in JSON lines over a virtio port.

Runs on the guest's own Python with the packages of Debian: python3-evdev for keyboards that exist only in the kernel
(Documentation/input/uinput.rst), gpio-sim's files in sysfs for the lines. A request is ``{"id": 1, "do": "sh", ...}``,
its answer ``{"id": 1, ...}`` or ``{"id": 1, "error": "words"}``; requests run at the same time, each in its thread.
"""

import base64
import fcntl
import json
import os
import select
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Any

PORT = "/dev/virtio-ports/bench"
TRACE = Path("/sys/kernel/tracing")
_pause = threading.Event()


class Keyboards:
    """Keyboards by the name that the harness gave them."""

    def __init__(self) -> None:
        self._plugged: dict[str, Any] = {}

    def plug(self, name: str, label: str, vendor: int, product: int, phys: str) -> None:
        """Plug one in; return once udev has made its node."""
        from evdev import UInput, ecodes

        keys = list(range(1, 120))
        keyboard = UInput({ecodes.EV_KEY: keys}, name=label, vendor=vendor, product=product, phys=phys)
        self._plugged[name] = keyboard
        subprocess.run(["udevadm", "settle", "--timeout=20"], check=False)

    def unplug(self, name: str) -> None:
        """Pull it out."""
        self._plugged.pop(name).close()

    def press(self, name: str, strokes: list[list[int]], gap_s: float) -> float:
        """Press keys: each stroke holds its last key while all before it are down. Return the longest pause, in s."""
        keyboard, longest_s, last_s = self._plugged[name], 0.0, time.monotonic()
        for stroke in strokes:
            for code in stroke:
                longest_s, last_s = max(longest_s, time.monotonic() - last_s), time.monotonic()
                self._send(keyboard, code, 1)
            for code in reversed(stroke):
                self._send(keyboard, code, 0)
            if gap_s:
                _pause.wait(gap_s)
        return longest_s

    @staticmethod
    def _send(keyboard: Any, code: int, value: int) -> None:
        keyboard.write(1, code, value)  # EV_KEY
        keyboard.syn()


class Console:
    """What reaches the virtual console in front: keys that nobody kept for himself."""

    def __init__(self) -> None:
        self._tty = os.open("/dev/tty1", os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._tty, termios.TCSANOW)

    def read(self, wait_s: float) -> str:
        """Return what came in until it was quiet for so long."""
        found = b""
        while select.select([self._tty], [], [], wait_s)[0]:
            found += os.read(self._tty, 4096)
        return found.decode(errors="replace")


class Bench:
    """All verbs; each returns what goes into its answer."""

    def __init__(self) -> None:
        self._keyboards = Keyboards()
        self._console: Console | None = None
        self.verbs: dict[str, Callable[..., Any]] = {
            "sh": self.sh,
            "put": self.put,
            "get": self.get,
            "plug": self._keyboards.plug,
            "unplug": self._keyboards.unplug,
            "press": self._keyboards.press,
            "console": self.console,
            "level": self.level,
            "pull": self.pull,
            "blip": self.blip,
            "edges": self.edges,
            "clock": self.clock,
            "reload": self.reload,
        }

    def sh(self, command: str, timeout_s: float) -> dict[str, Any]:
        """Run a shell command."""
        try:
            done = subprocess.run(
                ["/bin/bash", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return {"code": 124, "out": (late.stdout or b"").decode(errors="replace")}
        return {"code": done.returncode, "out": done.stdout.decode(errors="replace")}

    def put(self, path: str, content: str, mode: int) -> None:
        """Write a file whole."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(base64.b64decode(content))
        target.chmod(mode)

    def get(self, path: str) -> str:
        """Return a file's bytes."""
        return base64.b64encode(Path(path).read_bytes()).decode()

    def console(self, wait_s: float) -> str:
        """Return what reached the console since the last time."""
        if self._console is None:
            self._console = Console()
        return self._console.read(wait_s)

    def level(self, line: int) -> int:
        """Return the level that a meter on the line would show."""
        return int((_line(line) / "value").read_text())

    def pull(self, line: int, level: int) -> int:
        """Pull an input; return when, in monotonic milliseconds."""
        (_line(line) / "pull").write_text("pull-up" if level else "pull-down")
        return time.monotonic_ns() // 1_000_000

    def blip(self, line: int, for_s: float) -> tuple[float, float]:
        """Pull a line up and back down; return when, and for how long at most, in monotonic ms; then let it rest."""
        pull = _line(line) / "pull"
        began = time.monotonic()
        pull.write_text("pull-up")
        _pause.wait(for_s)
        pull.write_text("pull-down")
        took_s = time.monotonic() - began
        _pause.wait(took_s + 0.05)
        return began * 1000, took_s * 1000

    def edges(self) -> str:
        """Return the kernel's record of every line that was set since it was asked last, and empty it."""
        found = (TRACE / "trace").read_text()
        (TRACE / "trace").write_text("")
        return found

    def clock(self) -> int:
        """Return monotonic milliseconds."""
        return time.monotonic_ns() // 1_000_000

    def reload(self) -> None:
        """Start anew, from what was put in this file's place."""
        os.execv(sys.executable, [sys.executable, __file__])


def _line(number: int) -> Path:
    (line,) = Path("/sys/devices/platform").glob(f"gpio-sim.*/gpiochip*/sim_gpio{number}")
    return line


class Port:
    """The virtio-serial port. A write blocks while nobody listens on the host."""

    def __init__(self) -> None:
        self._port = os.open(PORT, os.O_RDWR)
        fcntl.fcntl(self._port, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
        self._lock = threading.Lock()

    def send(self, answer: dict[str, Any]) -> None:
        """Write one line."""
        line = json.dumps(answer).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._port, line) :]

    def read(self) -> bytes:
        """Return what came; nothing while the host is not there."""
        return os.read(self._port, 65536)


def serve(port: Port, bench: Bench) -> None:
    """Answer until the end of the machine."""
    port.send({"id": 0, "ready": Path("/proc/uptime").read_text().split()[0]})
    waiting = b""
    while True:
        came = port.read()
        if not came:
            _pause.wait(0.1)
        *lines, waiting = (waiting + came).split(b"\n")
        for line in lines:
            threading.Thread(target=_answer, args=(port, bench, line), daemon=True).start()


def _answer(port: Port, bench: Bench, line: bytes) -> None:
    try:
        request = json.loads(line)
    except ValueError:
        return  # the rest of a line that a restored machine never heard whole
    number, verb = request.pop("id"), request.pop("do")
    try:
        found = bench.verbs[verb](**request)
    except Exception as fault:
        port.send({"id": number, "error": f"{type(fault).__name__}: {fault}"})
    else:
        port.send({"id": number, "found": found})


if __name__ == "__main__":
    serve(Port(), Bench())
