"""The booted guest, seen from the host: commands, files, keyboards, lines, cards.

Everything but cards goes over one virtio-serial port to `tests.device.bench`; a card taps at the host's end of a port
that leads to the guest's virtual reader.
"""

import asyncio
import base64
import contextlib
import itertools
import json
from dataclasses import replace
from typing import Any, Final

from tests.device.edges import Edge, parse
from tests.device.qemu import Machine
from tests.processes.lab import ShortError

COMMAND_WITHIN_S: Final = 60.0
_SLACK_S: Final = 20.0
_BENCH: Final = "/usr/local/sbin/bench.py"


class GuestError(Exception):
    """A command or a verb inside failed; says which and what it printed."""


class Guest:
    """A machine whose bench answers."""

    def __init__(self, machine: Machine, tasks: asyncio.TaskGroup) -> None:
        self.machine = machine
        self._tasks = tasks
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._ready = asyncio.Event()
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def of(cls, machine: Machine, tasks: asyncio.TaskGroup) -> "Guest":
        """Connect to the bench of a machine; it may be still booting."""
        guest = cls(machine, tasks)
        await guest._connect()
        return guest

    async def _connect(self) -> None:
        reader, self._writer = await asyncio.open_unix_connection(self.machine.plan.bench_socket, limit=64 << 20)
        self._listening = self._tasks.create_task(self._listen(reader), name="guest")

    async def _hang_up(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})
        if self._writer is not None:
            self._writer.close()

    async def booted(self, *, within_s: float = 300.0) -> None:
        """Wait until the bench has said that it is there; raise ShortError with the console's last lines."""
        try:
            async with asyncio.timeout(within_s):
                await self._ready.wait()
        except TimeoutError:
            said = (self.machine.plan.folder / "serial.log").read_text(errors="replace")
            raise ShortError(f"the guest did not boot within {within_s:g} s: {said[-400:]}") from None

    async def woken_again(self, *, within_s: float = 120.0) -> None:
        """Wait until the machine went down for a reboot, start it from its disk, and wait until its bench is there."""
        try:
            await self.machine.ended(within_s=within_s)
        except TimeoutError:
            raise ShortError(f"the guest did not go down within {within_s:g} s") from None
        await self._hang_up()
        self._ready.clear()
        self.machine = await Machine.start(replace(self.machine.plan, snapshot=""))
        await self._connect()
        await self.booted()

    async def close(self) -> None:
        """End the machine at once."""
        await self.machine.kill()
        await self._hang_up()

    async def ask(self, verb: str, *, within_s: float = COMMAND_WITHIN_S, **request: Any) -> Any:
        """Let the bench do something and return what it found; raise GuestError."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "do": verb, **request})
        try:
            async with asyncio.timeout(within_s + _SLACK_S):
                said = await answer
        except TimeoutError:
            raise GuestError(f"{verb} {request}: no answer within {within_s + _SLACK_S:g} s") from None
        finally:
            self._waiting.pop(number, None)
        if "error" in said:
            raise GuestError(f"{verb}: {said['error']}")
        return said.get("found")

    async def sh(self, command: str, *, within_s: float = COMMAND_WITHIN_S) -> str:
        """Run a shell command as root and return what it printed; raise GuestError where it fails."""
        code, out = await self.try_sh(command, within_s=within_s)
        if code:
            raise GuestError(f"{command}: exit code {code}: {out.strip()[-600:]}")
        return out

    async def try_sh(self, command: str, *, within_s: float = COMMAND_WITHIN_S) -> tuple[int, str]:
        """Run a shell command as root; return its exit code and what it printed."""
        found = await self.ask("sh", command=command, timeout_s=within_s, within_s=within_s)
        return found["code"], found["out"]

    async def until(self, command: str, *, within_s: float = COMMAND_WITHIN_S, every_s: float = 0.5) -> str:
        """Run a command until it succeeds; return what it printed then. Raise ShortError where it never does."""
        said = ""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    code, said = await self.try_sh(command)
                    if code == 0:
                        return said
                    await asyncio.sleep(every_s)
        except TimeoutError:
            raise ShortError(f"not within {within_s:g} s: {command}: {said.strip()[-300:]}") from None

    async def put(self, path: str, content: bytes | str, *, mode: int = 0o644) -> None:
        """Write a file in the guest."""
        data = content.encode() if isinstance(content, str) else content
        await self.ask("put", path=path, content=base64.b64encode(data).decode(), mode=mode)

    async def get(self, path: str) -> bytes:
        """Read a file of the guest."""
        return base64.b64decode(await self.ask("get", path=path))

    async def renew_bench(self, source: bytes) -> None:
        """Let the bench inside become this one."""
        await self.put(_BENCH, source)
        self._ready.clear()
        self._send({"id": next(self._numbers), "do": "reload"})
        await self.booted(within_s=COMMAND_WITHIN_S)

    async def level(self, line: int) -> int:
        """Return the level of a line as a meter would show it."""
        return int(await self.ask("level", line=line))

    async def pull(self, line: int, level: int) -> int:
        """Pull an input up or down; return when, in the guest's monotonic milliseconds."""
        return int(await self.ask("pull", line=line, level=level))

    async def new_edges(self) -> list[Edge]:
        """Return how lines were set since the last call, oldest first."""
        return parse(await self.ask("edges"))

    def _send(self, request: dict[str, Any]) -> None:
        assert self._writer is not None
        self._writer.write(json.dumps(request).encode() + b"\n")

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            with contextlib.suppress(ValueError):
                self._note(json.loads(line))

    def _note(self, said: dict[str, Any]) -> None:
        if "ready" in said:
            self._ready.set()
            return
        answer = self._waiting.get(said["id"])
        if answer is not None and not answer.done():
            answer.set_result(said)
