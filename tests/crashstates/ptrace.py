"""Watch a program's system calls through ptrace(2), and let one of them fail.

Chosen because a plain Debian has it: no compiler, no strace, no matter how SQLite was linked, all threads in one order.
PTRACE_GET_SYSCALL_INFO (Linux 5.3) gives numbers and arguments alike on every architecture. The caller has to be a
process of its own: all its children are waited for.
"""

import ctypes
import os
import platform
import signal
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_TRACEME: Final = 0
_SYSCALL: Final = 24
_SETOPTIONS: Final = 0x4200
_GETREGSET: Final = 0x4204
_SETREGSET: Final = 0x4205
_GET_SYSCALL_INFO: Final = 0x420E
_NT_PRSTATUS: Final = 1
_OPTIONS: Final = 0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x100000  # SYSGOOD FORK VFORK CLONE EXEC EXITKILL
_WALL: Final = 0x40000000
_SYSCALL_STOP: Final = signal.SIGTRAP | 0x80
_ENTRY: Final = 1
_EXIT: Final = 2
_INFO_BYTES: Final = 88

# asm/unistd_64.h and asm-generic/unistd.h: the number of each call that names, opens or changes files.
_X86_64: Final = {
    1: "write", 2: "open", 9: "mmap", 18: "pwrite64", 20: "writev", 26: "msync", 40: "sendfile", 74: "fsync",
    75: "fdatasync", 76: "truncate", 77: "ftruncate", 82: "rename", 83: "mkdir", 84: "rmdir", 85: "creat", 86: "link",
    87: "unlink", 88: "symlink", 257: "openat", 258: "mkdirat", 263: "unlinkat", 264: "renameat", 265: "linkat",
    266: "symlinkat", 277: "sync_file_range", 285: "fallocate", 296: "pwritev", 316: "renameat2",
    326: "copy_file_range", 328: "pwritev2",
}  # fmt: skip
_AARCH64: Final = {
    64: "write", 222: "mmap", 68: "pwrite64", 66: "writev", 227: "msync", 71: "sendfile", 82: "fsync",
    83: "fdatasync", 45: "truncate", 46: "ftruncate", 56: "openat", 34: "mkdirat", 35: "unlinkat", 38: "renameat",
    37: "linkat", 36: "symlinkat", 84: "sync_file_range", 47: "fallocate", 70: "pwritev", 276: "renameat2",
    285: "copy_file_range", 287: "pwritev2",
}  # fmt: skip
_MACHINES: Final = {"x86_64": (_X86_64, 80), "aarch64": (_AARCH64, 0)}


@dataclass(frozen=True, slots=True)
class Call:
    """A system call under way in thread `tid`."""

    tid: int
    name: str
    args: tuple[int, ...]

    def memory(self, at: int, size_bytes: int) -> bytes:
        """Return some of the caller's memory; shorter where the mapping ends."""
        with open(f"/proc/{self.tid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123
            try:
                return os.pread(memory.fileno(), size_bytes, at)
            except OSError:
                return os.pread(memory.fileno(), min(size_bytes, 4096 - at % 4096), at)

    def text(self, at: int) -> str:
        """Return a C string of the caller."""
        return self.memory(at, 1024).split(b"\0", 1)[0].decode()

    def fd_path(self, descriptor: int) -> str:
        """Return what a descriptor of the caller stands for."""
        return os.readlink(f"/proc/{self.tid}/fd/{descriptor}")  # noqa: PTH115


Watcher = Callable[[Call, int | None], int | None]
"""Called at the start of a call with None and at its end with the result; returns a result to put in its place."""


def is_available() -> str | None:
    """Return why nothing can be traced here, None where it can."""
    if platform.machine() not in _MACHINES:
        return f"no table of system calls for {platform.machine()}"
    child = os.fork()
    if child == 0:
        os._exit(0 if _libc().ptrace(_TRACEME, 0, None, None) == 0 else 1)
    return None if os.waitpid(child, 0)[1] == 0 else "ptrace is forbidden here (container without SYS_PTRACE?)"


def run(command: Sequence[str], watcher: Watcher) -> int:
    """Run a program to its end and show each of its calls to the watcher; return its wait status."""
    child = os.fork()
    if child == 0:
        _libc().ptrace(_TRACEME, 0, None, None)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execvp(command[0], list(command))
    os.waitpid(child, _WALL)
    return _Tracer(child, watcher).run()


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    return libc


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Tracer:
    """Follows one program and all its threads and children."""

    def __init__(self, child: int, watcher: Watcher) -> None:
        self._libc = _libc()
        self._child = child
        self._watcher = watcher
        self._names, self._result_at = _MACHINES[platform.machine()]
        self._calls: dict[int, Call] = {}
        self._known = {child}
        self._info = ctypes.create_string_buffer(_INFO_BYTES)

    def run(self) -> int:
        self._do(_SETOPTIONS, self._child, 0, _OPTIONS)
        self._go_on(self._child, 0)
        end = 0
        while True:
            try:
                tid, status = os.waitpid(-1, _WALL)
            except ChildProcessError:
                return end
            if not os.WIFSTOPPED(status):
                self._known.discard(tid)
                self._calls.pop(tid, None)
                if tid == self._child:
                    end = status
                continue
            self._go_on(tid, self._stopped(tid, status))

    def _stopped(self, tid: int, status: int) -> int:
        """Handle a stop; return the signal to deliver."""
        number = os.WSTOPSIG(status)
        if number == _SYSCALL_STOP:
            self._syscall(tid)
            return 0
        if status >> 16:
            return 0
        if number == signal.SIGSTOP and tid not in self._known:
            self._known.add(tid)
            return 0
        return number

    def _syscall(self, tid: int) -> None:
        if self._do(_GET_SYSCALL_INFO, tid, _INFO_BYTES, ctypes.addressof(self._info)) < 0:
            return
        info = self._info.raw
        if info[0] == _ENTRY:
            number, *args = struct.unpack_from("<7Q", info, 24)
            name = self._names.get(number)
            if name is not None:
                call = self._calls[tid] = Call(tid, name, tuple(args))
                self._watcher(call, None)
        elif info[0] == _EXIT and (done := self._calls.pop(tid, None)) is not None:
            instead = self._watcher(done, struct.unpack_from("<q", info, 24)[0])
            if instead is not None:
                self._set_result(tid, instead)

    def _set_result(self, tid: int, value: int) -> None:
        registers = ctypes.create_string_buffer(512)
        vector = _Vector(ctypes.addressof(registers), len(registers))
        self._do(_GETREGSET, tid, _NT_PRSTATUS, ctypes.addressof(vector))
        struct.pack_into("<q", registers, self._result_at, value)
        self._do(_SETREGSET, tid, _NT_PRSTATUS, ctypes.addressof(vector))

    def _go_on(self, tid: int, number: int) -> None:
        self._do(_SYSCALL, tid, 0, number)

    def _do(self, request: int, tid: int, address: int, value: int) -> int:
        result: int = self._libc.ptrace(request, tid, address, value)
        return result
