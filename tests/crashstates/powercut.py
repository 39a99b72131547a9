"""Power cuts of a real ext4: workloads run on a logged disk, each cut is an image that is mounted and opened.

Of what was written after the last flush none, all, some writes or some sectors survive. Independent of the model in
`disk`: here the kernel's own file system decides what a flush confirms. Needs root, /dev/fuse and a loop device.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final

from tests.crashstates.checks import CHECKS, Check
from tests.crashstates.claims import Claims
from tests.crashstates.explore import Tally
from tests.crashstates.fusedisk import ENTRY, KIND_FLUSH
from tests.crashstates.recording import working_folder
from tests.crashstates.workloads import WORKLOADS

SHARES: Final = {"journal": 0.6, "directory": 0.1, "changes": 0.2, "identity": 0.1}
STYLES: Final = ("none", "all", "writes", "sectors")
_SECTOR: Final = 512
_IMAGE_BYTES: Final = 20 << 20
_EAGER: Final = "lazy_itable_init=0,lazy_journal_init=0"
_TOOLS: Final = ("mkfs.ext4", "e2fsck", "losetup", "mount", "umount")


@dataclass(frozen=True, slots=True)
class Entry:
    """A write, or a flush (no bytes); `end` is where it ends in the log."""

    at: int
    written: bytes
    is_flush: bool
    end: int


@dataclass(frozen=True, slots=True)
class Logged:
    """A disk before a workload, what was then written and flushed, and what was claimed at which place of the log."""

    name: str
    base: bytes
    entries: list[Entry]
    said: list[tuple[int, list[str]]]


def why_not() -> str | None:
    """Return why no power can be cut here, None where it can."""
    if os.geteuid():
        return "mounting needs root"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} missing (Debian packages: e2fsprogs, mount)"
    for device in ("/dev/fuse", "/dev/loop-control"):
        if not Path(device).exists():
            return f"{device} missing"
    return None


def run_all(cuts: int, seed: int) -> Iterator[tuple[str, Tally]]:
    """Run each workload and cut its power; yield a title and what came of it. Says so where it cannot run."""
    reason = why_not()
    if cuts == 0 or reason:
        print(f"power cuts of a real ext4: not run: {reason or 'none wanted'}")
        return
    for name, share in SHARES.items():
        yield f"ext4: {name}", cut_power(log_workload(name), max(1, int(cuts * share)), seed)


def log_workload(name: str, *, bug: str = "") -> Logged:
    """Run a workload on a fresh ext4 on a logged disk."""
    with tempfile.TemporaryDirectory(prefix="doorstile-disk-", dir=working_folder()) as scratch:
        folder = Path(scratch)
        base, said = folder / "base.img", folder / "said"
        with base.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        _run(
            "mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=4", "-E", "lazy_itable_init=0,lazy_journal_init=0", base
        )
        content = base.read_bytes()
        with _mounted_disk(folder, base) as (mounted, log):
            for phase in range(WORKLOADS[name][1]):
                command = [name, str(phase), str(mounted / "state"), str(said), bug, str(log)]
                (mounted / "state").mkdir(exist_ok=True)
                done = subprocess.run(
                    [sys.executable, "-m", "tests.crashstates.workloads", *command], check=False, timeout=60
                )
                if done.returncode > 0:
                    raise RuntimeError(f"workload {name} ended with exit code {done.returncode}")
        return Logged(name, content, list(_entries(log.read_bytes())), _said(said.read_text()))


def cut_power(logged: Logged, cuts: int, seed: int, *, check: Check | None = None, first: int = 1) -> Tally:
    """Build that many images, cut after the `first` entry or later, mount each and check what is on it."""
    chance, tally, began = random.Random(seed), Tally(), perf_counter()
    check = check or CHECKS[logged.name]
    places = sorted(chance.choices(range(first, len(logged.entries) + 1), k=cuts))
    positions = [position for position, _ in logged.said]
    disk, done, noted, claims = bytearray(logged.base), 0, 0, Claims()
    with tempfile.TemporaryDirectory(prefix="doorstile-cut-", dir=working_folder()) as scratch:
        for place in places:
            flushed = max((i + 1 for i in range(done, place) if logged.entries[i].is_flush), default=done)
            for entry in logged.entries[done:flushed]:
                disk[entry.at : entry.at + len(entry.written)] = entry.written
            done = flushed
            upto = bisect_right(positions, logged.entries[place - 1].end)
            for _, words in logged.said[noted:upto]:
                claims.note(words)
            noted = max(noted, upto)
            style = chance.choice(STYLES)
            image = survivors(disk, logged.entries[done:place], style, chance)
            _check(check, image, claims, Path(scratch), f"{logged.name}:{place}:{style}", tally)
    tally.seconds = perf_counter() - began
    return tally


def survivors(disk: bytearray, pending: list[Entry], style: str, chance: random.Random) -> bytearray:
    """Return a disk on which of its pending writes none, all, some or some sectors survived."""
    image = bytearray(disk)
    for entry in pending:
        is_kept = style == "all" or (style == "writes" and chance.random() < 0.5)
        for offset in range(0, len(entry.written), _SECTOR):
            if is_kept or (style == "sectors" and chance.random() < 0.5):
                at = entry.at + offset
                image[at : at + _SECTOR] = entry.written[offset : offset + _SECTOR]
    return image


def _check(check: Check, image: bytearray, claims: Claims, scratch: Path, where: str, tally: Tally) -> None:
    tally.states += 1
    # A file of its own: a loop device that lets go late is used again for the same file, with what it remembers of it.
    file, mounted = scratch / f"cut-{tally.states}.img", scratch / "mounted"
    file.write_bytes(image)
    mounted.mkdir(exist_ok=True)
    wrong = _mount(file, mounted)
    if wrong and not subprocess.run(["e2fsck", "-y", str(file)], capture_output=True, check=False).returncode & ~1:
        # Its superblock may be torn, whose checksum ext4 reads before its journal; a boot runs e2fsck before it mounts.
        tally.told["e2fsck had to mend the file system"] += 1
        wrong = _mount(file, mounted)
    if not wrong:
        try:
            (mounted / "state").mkdir(exist_ok=True)
            outcome = check(mounted / "state", claims, tally.states % 4 == 0)
            wrong = outcome.wrong
            tally.told += Counter(outcome.told)
        finally:
            _unmount(mounted)
    file.unlink()
    if wrong:
        tally.violations += 1
        tally.wrong = [*tally.wrong, f"{where}  {wrong[0]}"][:20]


def _mount(image: Path, mounted: Path) -> list[str]:
    """Mount an image; return what is wrong with it."""
    command = ["mount", "-o", "loop,noatime", str(image), str(mounted)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [f"the file system cannot be mounted: {done.stderr.strip()}"] if done.returncode else []


@contextmanager
def _mounted_disk(folder: Path, base: Path) -> Iterator[tuple[Path, Path]]:
    """Mount a copy of an image over a logging disk; yield where, and the log."""
    live, log, export, mounted = (folder / name for name in ("live.img", "log", "export", "mounted"))
    shutil.copyfile(base, live)
    mounted.mkdir()
    with ExitStack() as stack:
        command = [sys.executable, "-m", "tests.crashstates.fusedisk", str(live), str(log), str(export)]
        server = subprocess.Popen(command)
        stack.callback(_end, server)
        _wait_for_mount(export, server)
        stack.callback(_unmount, export)
        device = _run("losetup", "--find", "--show", "--direct-io=on", export).strip()
        stack.callback(_run, "losetup", "-d", device)
        _run("mount", "-o", "noatime,nodiscard", device, mounted)
        stack.callback(_unmount, mounted)
        yield mounted, log


def _wait_for_mount(export: Path, server: subprocess.Popen[bytes]) -> None:
    pause = threading.Event()
    for _ in range(200):
        if f" {export} " in Path("/proc/mounts").read_text():
            return
        if server.poll() is not None:
            break
        pause.wait(0.05)
    server.kill()
    raise RuntimeError(f"the logging disk could not be mounted at {export}")


def _unmount(mounted: Path) -> None:
    """Unmount; a loop device lets go of its file a moment after it was told to."""
    pause = threading.Event()
    for _ in range(100):
        if subprocess.run(["umount", str(mounted)], capture_output=True, check=False).returncode == 0:
            return
        pause.wait(0.1)
    _run("umount", "--lazy", mounted)


def _end(server: subprocess.Popen[bytes]) -> None:
    """Wait for the disk's server, which ends with its mount."""
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _entries(log: bytes) -> Iterator[Entry]:
    at = 0
    while at < len(log):
        kind, place, size = ENTRY.unpack_from(log, at)
        begin = at + ENTRY.size
        at = begin + size
        yield Entry(place, log[begin:at], kind == KIND_FLUSH, at)


def _said(text: str) -> list[tuple[int, list[str]]]:
    lines = [line.split() for line in text.splitlines()]
    return [(int(position), words) for position, *words in lines]


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout
