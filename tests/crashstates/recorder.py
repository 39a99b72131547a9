"""Record what programs do to the files of a folder: `python -m tests.crashstates.recorder REQUEST`.

The request is a JSON file (see `Request`). Shared-memory files (`-shm`) are left out: SQLite builds them anew after a
crash. Stores into mapped files are seen as changed sectors at the next recorded call.
"""

import errno
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from tests.crashstates import ptrace
from tests.crashstates.ptrace import Call
from tests.crashstates.trace import (
    Link,
    MakeFolder,
    Op,
    Rename,
    Resize,
    Said,
    Sync,
    SyncFolder,
    Trace,
    Unlink,
    Write,
)

SECTOR_BYTES: Final = 512
_MAP_SHARED: Final = 1
_PROT_WRITE: Final = 2
_REMOVE_FOLDER: Final = 0x200
_AT_FDCWD: Final = 0xFFFFFF9C
_FALLOC_KEEP_SIZE: Final = 1
_FRAME_HEADER: Final = 24
_SYNCS: Final = ("fsync", "fdatasync")


class Request(msgspec.Struct):
    """Commands to run one after the other on one folder.

    `fail_sync` is the number of the sync that fails with EIO, among those of a `*-wal` file that confirm two commits or
    more; 0 for none. With `may_fail` a command that ends with an exit code is no fault: a planted bug may be noticed by
    the program itself, and what it did to its files until then counts.
    """

    name: str
    folder: str
    said: str
    out: str
    commands: list[list[str]]
    fail_sync: int = 0
    may_fail: bool = False


class UnknownCallError(Exception):
    """The program changed a file by a call that the recorder cannot replay."""


class Recorder:
    """The watcher of all calls; `ops` grows."""

    def __init__(self, folder: str, said: str, fail_sync: int = 0) -> None:
        self._root = folder + "/"
        self._said = said
        self._fail_sync = fail_sync
        self._syncs = 0
        self._commits = 0
        self._inodes: dict[str, int] = {}
        self._mapped: dict[str, bytes] = {}
        self._ranges: dict[tuple[str, int], str] = {}
        self.start: dict[str, bytes] = {}
        self.ops: list[Op] = []
        for number, path in enumerate(sorted(Path(folder).rglob("*"))):
            name = str(path.relative_to(folder))
            if path.is_file() and not name.endswith("-shm"):
                self._inodes[name] = number
                self.start[name] = path.read_bytes()
        self._next = len(self.start) + 1000

    def watch(self, call: Call, result: int | None) -> int | None:
        """See a call begin (result None) or end."""
        if result is None:
            if call.name != "mmap" and not call.name.startswith("open"):
                self._see_stores()
            return None
        if result < 0:
            return None
        handler = getattr(self, f"_{call.name}", None)
        if handler is None:
            self._refuse(call)
            return None
        answer: int | None = handler(call, result)
        return answer

    def _refuse(self, call: Call) -> None:
        names = [self._fd_name(call, arg) for arg in call.args[:2] if arg < 1024]
        if any(names):
            raise UnknownCallError(f"{call.name} of {names}: teach the recorder to replay it")

    # Names -----------------------------------------------------------------------------------------------------------

    def _name(self, path: str) -> str | None:
        """Return a path inside the folder ("" for the folder itself); None for what is not recorded."""
        if path + "/" == self._root:
            return ""
        if not path.startswith(self._root) or path.endswith(("-shm", " (deleted)")):
            return None
        return path[len(self._root) :]

    def _path(self, call: Call, folder: int, at: int) -> str | None:
        text = call.text(at)
        if not text.startswith("/"):
            is_here = folder & 0xFFFFFFFF == _AT_FDCWD
            base = os.readlink(f"/proc/{call.tid}/cwd") if is_here else call.fd_path(folder)  # noqa: PTH115
            text = f"{base}/{text}"
        return self._name(os.path.normpath(text))

    def _fd_name(self, call: Call, descriptor: int) -> str | None:
        try:
            return self._name(call.fd_path(descriptor & 0xFFFFFFFF))
        except OSError:
            return None

    def _opened(self, call: Call, flags: int, result: int) -> None:
        name = self._fd_name(call, result)
        if not name or flags & os.O_DIRECTORY or not Path(self._root + name).is_file():
            return
        if name not in self._inodes:
            self._inodes[name] = self._next
            self._next += 1
            self.ops.append(Link(name, self._inodes[name]))
        elif flags & os.O_TRUNC:
            self.ops.append(Resize(self._inodes[name], 0))

    def _open(self, call: Call, result: int) -> None:
        self._opened(call, call.args[1], result)

    def _openat(self, call: Call, result: int) -> None:
        self._opened(call, call.args[2], result)

    def _creat(self, call: Call, result: int) -> None:
        self._opened(call, os.O_TRUNC, result)

    def _moved(self, source: str | None, target: str | None) -> None:
        if source is None and target is None:
            return
        assert source is not None, "a file moved into the folder"
        assert target is not None, "a file moved out of the folder"
        self._inodes[target] = self._inodes.pop(source)
        if source in self._mapped:
            self._mapped[target] = self._mapped.pop(source)
        self.ops.append(Rename(source, target))

    def _rename(self, call: Call, _: int) -> None:
        here = _AT_FDCWD
        self._moved(self._path(call, here, call.args[0]), self._path(call, here, call.args[1]))

    def _renameat(self, call: Call, _: int) -> None:
        self._moved(self._path(call, call.args[0], call.args[1]), self._path(call, call.args[2], call.args[3]))

    _renameat2 = _renameat

    def _removed(self, name: str | None) -> None:
        if name is not None:
            self._inodes.pop(name, None)
            self._mapped.pop(name, None)
            self.ops.append(Unlink(name))

    def _unlink(self, call: Call, _: int) -> None:
        self._removed(self._path(call, _AT_FDCWD, call.args[0]))

    _rmdir = _unlink

    def _unlinkat(self, call: Call, _: int) -> None:
        self._removed(self._path(call, call.args[0], call.args[1]))

    def _mkdir(self, call: Call, _: int) -> None:
        name = self._path(call, _AT_FDCWD, call.args[0])
        if name:
            self.ops.append(MakeFolder(name))

    def _mkdirat(self, call: Call, _: int) -> None:
        name = self._path(call, call.args[0], call.args[1])
        if name:
            self.ops.append(MakeFolder(name))

    # Bytes -----------------------------------------------------------------------------------------------------------

    def _write(self, call: Call, result: int) -> None:
        descriptor = call.args[0]
        try:
            path = call.fd_path(descriptor & 0xFFFFFFFF)
        except OSError:
            return
        if path == self._said:
            self.ops += [Said(line.split()) for line in call.memory(call.args[1], result).decode().splitlines()]
            return
        name = self._name(path)
        if name:
            fields = Path(f"/proc/{call.tid}/fdinfo/{descriptor}").read_text().split()
            at = int(fields[1]) - result
            self.ops.append(Write(self._inodes[name], at, call.memory(call.args[1], result)))

    def _pwrite64(self, call: Call, result: int) -> None:
        name = self._fd_name(call, call.args[0])
        if name:
            written = call.memory(call.args[1], result)
            self.ops.append(Write(self._inodes[name], call.args[3], written))
            self._commits += name.endswith("-wal") and len(written) == _FRAME_HEADER and any(written[4:8])

    def _ftruncate(self, call: Call, _: int) -> None:
        name = self._fd_name(call, call.args[0])
        if name:
            self.ops.append(Resize(self._inodes[name], call.args[1]))

    def _fallocate(self, call: Call, _: int) -> None:
        name = self._fd_name(call, call.args[0])
        if name and not call.args[1] & _FALLOC_KEEP_SIZE:
            self.ops.append(Resize(self._inodes[name], call.args[2] + call.args[3]))

    def _mmap(self, call: Call, result: int) -> None:
        if not (call.args[3] & _MAP_SHARED and call.args[2] & _PROT_WRITE):
            return
        name = self._fd_name(call, call.args[4])
        if name:
            self._mapped[name] = Path(self._root + name).read_bytes()
            self._ranges[str(call.tid), result] = name

    def _see_stores(self) -> None:
        for name, before in list(self._mapped.items()):
            now = Path(self._root + name).read_bytes()
            if now == before:
                continue
            self._mapped[name] = now
            for at in range(0, len(now), SECTOR_BYTES):
                if now[at : at + SECTOR_BYTES] != before[at : at + SECTOR_BYTES]:
                    self.ops.append(Write(self._inodes[name], at, now[at : at + SECTOR_BYTES]))

    # Syncs -----------------------------------------------------------------------------------------------------------

    def _fsync(self, call: Call, _: int) -> int | None:
        name = self._fd_name(call, call.args[0])
        if name is None:
            return None
        if name not in self._inodes:
            self.ops.append(SyncFolder(name))
            return None
        is_failing = name.endswith("-wal") and self._is_failing()
        self.ops.append(Sync(self._inodes[name], not is_failing))
        return -errno.EIO if is_failing else None

    _fdatasync = _fsync

    def _is_failing(self) -> bool:
        """Count a sync of a log; sqlite.org/fileformat2.html, 4.1: a commit's last frame tells the database's size."""
        commits, self._commits = self._commits, 0
        self._syncs += commits > 1
        return commits > 1 and self._syncs == self._fail_sync

    def _msync(self, call: Call, _: int) -> None:
        for (_tid, begin), name in self._ranges.items():
            if begin == call.args[0] and name in self._inodes:
                self.ops.append(Sync(self._inodes[name], is_done=True))
                return


def record(request: Request) -> Trace:
    """Run all commands under the recorder; raise where one of them ends with an exit code."""
    recorder = Recorder(request.folder, request.said, request.fail_sync)
    for command in request.commands:
        status = ptrace.run(command, recorder.watch)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) and not request.may_fail:
            raise SystemExit(f"{command} ended with exit code {os.WEXITSTATUS(status)}")
    return Trace(request.name, recorder.start, recorder.ops)


if __name__ == "__main__":
    wanted = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Request)
    record(wanted).save(Path(wanted.out))
