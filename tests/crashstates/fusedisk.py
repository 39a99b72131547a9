"""A disk that remembers what was flushed: `python -m tests.crashstates.fusedisk IMAGE LOG MOUNTFILE`.

Serves an image as one file through FUSE (linux/fuse.h, protocol 7.31; root only, no libfuse) and logs each write and
flush before it is answered. A loop device on that file is a disk whose cache can be lost. Ends when it is unmounted.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

ENTRY: Final = struct.Struct("<QQQ")
"""One entry of the log: kind, place in bytes, length in bytes; the bytes follow."""
KIND_WRITE: Final = 1
KIND_FLUSH: Final = 2

_IN: Final = struct.Struct("<IIQQIIII")
_OUT: Final = struct.Struct("<IiQ")
_OPEN_DIRECT_IO: Final = 1
_MAX_WRITE: Final = 131072
_NOSUID_NODEV: Final = 6
_FORGET, _GETATTR, _SETATTR, _OPEN, _READ, _WRITE, _STATFS, _RELEASE = 2, 3, 4, 14, 15, 16, 17, 18
_FSYNC, _FLUSH, _INIT, _INTERRUPT, _DESTROY = 20, 25, 26, 36, 38
_SILENT: Final = {_FORGET, _INTERRUPT}
_SECONDS_VALID: Final = 3600


class FuseDisk:
    """The server; one request at a time, so that the log is the order of the disk."""

    def __init__(self, image: Path, log: Path, mount_file: Path) -> None:
        self._image = os.open(image, os.O_RDWR)
        self._size = os.fstat(self._image).st_size
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        mount_file.touch()
        self._device = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._device},rootmode=100000,user_id=0,group_id=0,allow_other,max_read={_MAX_WRITE}"
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"fusedisk", str(mount_file).encode(), b"fuse", _NOSUID_NODEV, options.encode()):
            fault = ctypes.get_errno()
            raise OSError(fault, os.strerror(fault), str(mount_file))
        self._answers: dict[int, Callable[[bytes], bytes]] = {
            _INIT: self._init,
            _GETATTR: self._attributes,
            _SETATTR: self._attributes,
            _OPEN: lambda _: struct.pack("<QII", 1, _OPEN_DIRECT_IO, 0),
            _READ: self._read,
            _WRITE: self._write,
            _FSYNC: self._flush,
            _STATFS: lambda _: struct.pack("<QQQQQIIII24x", self._size // 512, 0, 0, 0, 0, 512, 255, 512, 0),
            _RELEASE: lambda _: b"",
            _FLUSH: lambda _: b"",
        }

    def serve(self) -> None:
        """Answer requests until the file is unmounted."""
        while True:
            try:
                request = os.read(self._device, _MAX_WRITE + 65536)
            except OSError as fault:
                if fault.errno == errno.ENODEV:
                    return
                if fault.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                raise
            length, code, unique, *_ = _IN.unpack_from(request)
            if code == _DESTROY:
                return
            if code not in _SILENT:
                self._answer(code, unique, request[_IN.size : length])

    def _answer(self, code: int, unique: int, body: bytes) -> None:
        handler = self._answers.get(code)
        out = handler(body) if handler else b""
        os.writev(self._device, [_OUT.pack(_OUT.size + len(out), 0 if handler else -errno.ENOSYS, unique), out])

    def _init(self, body: bytes) -> bytes:
        read_ahead = struct.unpack_from("<III", body)[2]
        big_writes = 1 << 5
        return struct.pack("<IIIIHHIIHHII", 7, 31, read_ahead, big_writes, 64, 48, _MAX_WRITE, 1, 32, 0, 0, 0).ljust(
            64, b"\0"
        )

    def _attributes(self, _: bytes) -> bytes:
        file_mode = 0o100600
        numbers = (1, self._size, self._size // 512, 0, 0, 0, 0, 0, 0, file_mode, 1, 0, 0, 0, 4096, 0)
        return struct.pack("<QII", _SECONDS_VALID, 0, 0) + struct.pack("<QQQQQQIIIIIIIIII", *numbers)

    def _read(self, body: bytes) -> bytes:
        _, at, size = struct.unpack_from("<QQI", body)
        return os.pread(self._image, size, at)

    def _write(self, body: bytes) -> bytes:
        _, at, size = struct.unpack_from("<QQI", body)
        written = body[40 : 40 + size]
        os.writev(self._log, [ENTRY.pack(KIND_WRITE, at, size), written])
        os.pwrite(self._image, written, at)
        return struct.pack("<II", size, 0)

    def _flush(self, _: bytes) -> bytes:
        os.write(self._log, ENTRY.pack(KIND_FLUSH, 0, 0))
        return b""


if __name__ == "__main__":
    FuseDisk(*map(Path, sys.argv[1:4])).serve()
