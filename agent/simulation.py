"""Working simulated hardware from outside: taps, codes, a cut link, a wrong clock.

Reached over a Unix socket in the state folder (`doorstile sim`) and from the kiosk's panel. It exists only where all
of the profile is simulated: nobody can tap a real door by a socket, nor open one by a tap that nobody made.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final, Protocol

import msgspec

from agent.clock import SimulatedTime
from agent.hearing import Hearing
from agent.visitors import Visitors
from hardware.base import Hardware, Reader
from hardware.errors import HardwareError
from hardware.inputs.simulated import SimInputs
from hardware.sim import SimReader

log = logging.getLogger(__name__)

SOCKET_NAME: Final = "control.sock"
_MAX_LINE: Final = 8192
MAX_HEAR_S: Final = 5.0
_AT_READERS: Final = frozenset({"tap", "qr", "torn"})
_UID_BYTES: Final = (4, 7, 10)
_MAX_SHIFT_S: Final = 100 * 366 * 86_400
"""A century: beyond, the wall time would be no date that a journal can hold."""


class Gate(Protocol):
    """The link's gate: cut, nothing gets through."""

    def cut(self) -> None:
        """Drop the connection and let no new one through."""

    def heal(self) -> None:
        """Let connections through again."""


class SimRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to do; `args` depend on it (see `doorstile sim --help`).

    With `hear_s` the answer waits so long for what comes of it.
    """

    do: Annotated[str, msgspec.Meta(max_length=40)]
    args: dict[str, str] = {}
    hear_s: Annotated[float, msgspec.Meta(ge=0, le=MAX_HEAR_S)] = 0


class SimAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Empty `error` where it was done; `door` is a picture of the door for `status`.

    `heard` is what came of it, empty where nothing did or nobody wanted to hear it.
    """

    error: str = ""
    heard: str = ""
    door: dict[str, str] = {}


_requests: Final = msgspec.json.Decoder(SimRequest)
_answers: Final = msgspec.json.Decoder(SimAnswer)


class Simulation:
    """The people and accidents at a simulated door."""

    def __init__(
        self,
        readers: Mapping[str, SimReader],
        *,
        visitors: Visitors | None = None,
        inputs: SimInputs | None = None,
        time: SimulatedTime,
        gate: Gate,
        describe: Callable[[], dict[str, str]],
    ) -> None:
        self._readers = readers
        self.visitors = visitors or Visitors(())
        self.inputs = inputs or SimInputs(())
        self.hearing = Hearing()
        self._time = time
        self._gate = gate
        self._describe = describe
        self._actions: dict[str, Callable[[dict[str, str]], None]] = {
            "tap": self._tap,
            "qr": self._qr,
            "torn": lambda args: self._reader(args).torn(),
            "unplug": lambda args: self._reader(args).unplug(),
            "replug": lambda args: self._reader(args).replug(),
            "walk": self._walk,
            "input": lambda args: self.inputs.work(args.get("input", ""), args.get("state", "")),
            "link": self._link,
            "clock": self._clock,
            "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
            "status": lambda _: None,
        }

    async def press(self, text: bytes) -> str:
        """Do what a panel asks, as JSON; return what was wrong with it, or nothing."""
        return (await self.answer(text)).error

    async def answer(self, text: bytes) -> SimAnswer:
        """Do what a request asks, as JSON."""
        try:
            request = _requests.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return SimAnswer(f"not a request: {error}")
        if not request.hear_s:
            return self.do(request)
        reader = request.args.get("reader", next(iter(self._readers))) if request.do in _AT_READERS else None
        with self.hearing.waiting_for(reader) as heard:
            answer = self.do(request)
            if answer.error:
                return answer
            return SimAnswer(heard=await heard.words(request.hear_s), door=self._describe())

    def do(self, request: SimRequest) -> SimAnswer:
        """Do one thing; a wrong request comes back as an error that says what would be right."""
        action = self._actions.get(request.do)
        if action is None:
            return SimAnswer(f"no action {request.do[:40]!r}; there are {', '.join(sorted(self._actions))}")
        try:
            action(request.args)
        except (KeyError, ValueError, OverflowError, HardwareError) as error:
            return SimAnswer(f"{request.do}: {error}")
        return SimAnswer(door=self._describe())

    def _reader(self, args: dict[str, str]) -> SimReader:
        name = args.get("reader", next(iter(self._readers)))
        if name not in self._readers:
            raise ValueError(f"no reader {name!r}; the profile has {', '.join(self._readers)}")
        return self._readers[name]

    def _tap(self, args: dict[str, str]) -> None:
        text = args.get("uid", "")
        try:
            uid = bytes.fromhex(text)
        except ValueError as error:
            raise ValueError(f"uid {text!r} is not hex; give 8, 14 or 20 hex digits") from error
        if len(uid) not in _UID_BYTES:
            raise ValueError(f"uid {text!r} has {2 * len(uid)} hex digits; give 8, 14 or 20")
        self._reader(args).tap(uid)

    def _qr(self, args: dict[str, str]) -> None:
        self._reader(args).qr(args.get("text", "").encode())

    def _walk(self, args: dict[str, str]) -> None:
        match args.get("state"):
            case "on" | "off":
                self.visitors.are_walking = args["state"] == "on"
            case other:
                raise ValueError(f"state {other!r}; say on or off")

    def _link(self, args: dict[str, str]) -> None:
        match args.get("state"):
            case "cut":
                self._gate.cut()
            case "heal":
                self._gate.heal()
            case other:
                raise ValueError(f"state {other!r}; say cut or heal")

    def _clock(self, args: dict[str, str]) -> None:
        if "synced" in args:
            synced = {"yes": True, "no": False, "kernel": None}
            if args["synced"] not in synced:
                raise ValueError(f"synced {args['synced']!r}; say yes, no, or kernel for the kernel's own word")
            self._time.pretend_synced(synced[args["synced"]])
        shift_s = float(args.get("shift_s", "0"))
        if not abs(shift_s) <= _MAX_SHIFT_S:
            raise ValueError(f"shift_s {shift_s:g}; at most {_MAX_SHIFT_S} seconds either way")
        self._time.shift(int(shift_s * 1000))


def simulated_readers(readers: tuple[Reader, ...]) -> dict[str, SimReader] | None:
    """Return the readers by name where every one of them is simulated, else None."""
    simulated = {reader.name: reader for reader in readers if isinstance(reader, SimReader)}
    return simulated if len(simulated) == len(readers) else None


def simulate(
    hardware: Hardware, time: SimulatedTime, gate: Gate, describe: Callable[[], dict[str, str]]
) -> Simulation | None:
    """Return what works the hardware from outside; None where a reader could not be had."""
    readers = simulated_readers(hardware.readers)
    if readers is None:
        return None
    visitors, inputs = Visitors(hardware.inputs), SimInputs(hardware.inputs)
    return Simulation(readers, visitors=visitors, inputs=inputs, time=time, gate=gate, describe=describe)


async def serve(simulation: Simulation, folder: Path) -> None:
    """Answer requests on the control socket in `folder` until cancelled; one JSON line each way."""
    path = folder / SOCKET_NAME
    path.unlink(missing_ok=True)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(msgspec.json.encode(await simulation.answer(line)) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError) as error:
            log.debug("control socket: %s", error)
        finally:
            writer.close()

    old_mask = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(talk, path, limit=_MAX_LINE)
    finally:
        os.umask(old_mask)
    try:
        async with server:
            await server.serve_forever()
    finally:
        path.unlink(missing_ok=True)


async def ask(folder: Path, request: SimRequest, *, timeout_s: float = 5.0) -> SimAnswer:
    """Send one request to the agent on a state folder; raise OSError or TimeoutError where none answers."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_unix_connection(folder / SOCKET_NAME)
        try:
            writer.write(msgspec.json.encode(request) + b"\n")
            await writer.drain()
            line = await reader.readline()
        finally:
            writer.close()
    if not line:
        raise ConnectionResetError("the agent went away before it answered")
    return _answers.decode(line)
