"""The receiving end of sd_notify(3): hears a service say that it is ready."""

import asyncio
import socket
from pathlib import Path
from types import TracebackType
from typing import Self


class Notification:
    """A socket for one start of a service; give its path as NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def __enter__(self) -> Self:
        self.path.unlink(missing_ok=True)
        self._socket.bind(str(self.path))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)

    async def ready(self, within_s: float) -> None:
        """Return when the service is ready; raise TimeoutError where it takes longer."""
        async with asyncio.timeout(within_s):
            while b"READY=1" not in await asyncio.get_running_loop().sock_recv(self._socket, 4096):
                continue
