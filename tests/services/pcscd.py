"""A real pcscd with virtual slots, for tests that tap virtual cards.

pcscd listens on a path that is compiled in and belongs to root. So each one runs in a mount namespace of its own, where
that folder is a temporary one of ours (mount_namespaces(7); as a user also user_namespaces(7)): tests need not be root,
the machine's own pcscd is not in the way, and test runs do not get into each other's. Clients in this process and below
find the socket by PCSCLITE_CSOCK_NAME, which libpcsclite reads once in a process.
"""

import atexit
import os
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

PCSCD = shutil.which("pcscd") or "/usr/sbin/pcscd"
SOCKET_NAME = "pcscd.comm"
DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
START_WITHIN_S = 10.0
MAX_SLOTS = 2
"""Debian's build of the driver keeps its slots in one global table of two: a second entry would mirror the first."""

_IN_NAMESPACE = """
mount -t tmpfs tmpfs /run && mkdir /run/pcscd && mount --bind "$1" /run/pcscd && exec "$2" --foreground --config "$3"
"""

_CONF = """FRIENDLYNAME "{name}"
DEVICENAME /dev/null:{port:#06x}
LIBPATH {driver}
CHANNELID {port:#06x}
"""


def need_pcscd() -> None:
    """Skip where pcscd or its virtual driver is missing; fail there when CI=true."""
    missing = [package for package, path in (("pcscd", Path(PCSCD)), ("vsmartcard-vpcd", DRIVER)) if not path.exists()]
    if not missing:
        return
    reason = f"needs a real pcscd: apt install {' '.join(missing)}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Pcscd:
    """One pcscd and the TCP ports of its slots; ``names`` are its PC/SC reader names in the same order."""

    def __init__(self, work_dir: Path, slots: int) -> None:
        assert 1 <= slots <= MAX_SLOTS
        self._log_path = work_dir / "pcscd.log"
        self._conf_dir = work_dir / "reader.conf.d"
        self._conf_dir.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        ports: list[int] = []
        names: list[str] = []
        for entry, port in enumerate(_free_port_pairs((slots + 1) // 2)):
            name = f"Virtual PCD {entry}"
            (self._conf_dir / f"virtual-{entry}").write_text(_CONF.format(name=name, port=port, driver=DRIVER))
            ports += [port, port + 1]  # Debian builds the driver with two slots per entry
            names += [f"{name} 00 00", f"{name} 00 01"]
        self.ports = tuple(ports[:slots])
        self.names = tuple(names[:slots])

    @property
    def is_running(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        assert self._process is not None, "pcscd does not run"
        return self._process.pid

    def start(self, *, slots_listen: bool = True) -> None:
        """Start and return once it accepts clients and (unless told otherwise) every slot listens."""
        assert self._process is None, "pcscd already runs"
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*_unshare(), "sh", "-c", _IN_NAMESPACE, "sh", str(ipc_folder()), PCSCD, str(self._conf_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_WITHIN_S
        ports = set(self.ports) if slots_listen else set()
        while not (self._is_serving() and ports <= _listening_ports()):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"pcscd did not start:\n{self._log_path.read_text(errors='replace')[-2000:]}")
            threading.Event().wait(0.02)

    def stop(self) -> None:
        """SIGTERM, and wait for its end. Does nothing when it does not run."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
                self._process = None
            finally:
                self.kill()

    def kill(self) -> None:
        """SIGKILL, and remove the files that it could not remove itself."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(5)
            for left_behind in ipc_folder().iterdir():
                left_behind.unlink()

    @contextmanager
    def without_readers(self) -> Iterator[None]:
        """Restart with no reader at all; at the end restart with all of them."""
        self.stop()
        hidden = self._conf_dir.with_name("hidden.conf.d")
        self._conf_dir.rename(hidden)
        self._conf_dir.mkdir()
        self.start(slots_listen=False)
        try:
            yield
        finally:
            self.stop()
            self._conf_dir.rmdir()
            hidden.rename(self._conf_dir)
            self.start()

    def _is_serving(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(ipc_folder() / SOCKET_NAME)) == 0


@contextmanager
def running_pcscd(slots: int = 1) -> Iterator[Pcscd]:
    """Start pcscd with ``slots`` empty virtual slots on free ports, and stop it at the end.

    Skips or fails as ``need_pcscd`` does.
    """
    need_pcscd()
    with tempfile.TemporaryDirectory(prefix="doorstile-pcscd-") as work_dir:
        pcscd = Pcscd(Path(work_dir), slots)
        pcscd.start()
        try:
            yield pcscd
        finally:
            pcscd.stop()


@cache
def ipc_folder() -> Path:
    """Where the pcscd of this process puts its socket: one folder for the life of the process."""
    folder = Path(tempfile.mkdtemp(prefix="doorstile-pcscd-ipc-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["PCSCLITE_CSOCK_NAME"] = str(folder / SOCKET_NAME)
    return folder


def _unshare() -> list[str]:
    return ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]


def _free_port_pairs(count: int) -> list[int]:
    """Even-spaced ports whose successor is free too, below the ephemeral range so that no client takes them."""
    taken = _listening_ports()
    free = [port for port in range(20000, 32000, 2) if not {port, port + 1} & taken]
    return random.sample(free, count)


def _listening_ports() -> set[int]:
    """From /proc: connecting to a slot to find out would insert a card."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    columns = [line.split() for line in lines]
    return {int(local.rpartition(":")[2], 16) for _, local, _, state, *_ in columns if state == "0A"}
