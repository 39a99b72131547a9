"""The demo's world: a central with members, and one door that joined it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec

from agent.identity import IDENTITY_FILE, load_identity
from agent.simulation import SOCKET_NAME, SimAnswer, SimRequest, ask
from demo.processes import DemoError, doorstile, kill, manage, output_of, running, stop, tail_of
from demo.staff import Staff

_UP_WITHIN_S: Final = 90.0
_POLL_S: Final = 0.05


class Card(msgspec.Struct, frozen=True):
    """A member's card; `uid` is hex."""

    uid: str
    member: str


class Seed(msgspec.Struct, frozen=True):
    """What `demo_seed` made: who works here, who may enter, and the code by which the door joins."""

    code: str
    username: str
    password: str
    cards: list[Card]


@dataclass(frozen=True, slots=True)
class Setup:
    """What the world is made of: central's command line and environment, and the agent's further options.

    Without a command central is the embedded one. Port 0 takes any.
    """

    central_port: int = 0
    kiosk_port: int = 0
    central_command: tuple[str, ...] = ()
    central_env: Mapping[str, str] = field(default_factory=dict)
    agent_options: tuple[str, ...] = ("--profile", "simulated")


@dataclass
class World:
    """A running central and a door beside it. `central_env` makes central's commands see the same data."""

    folder: Path
    central_url: str
    kiosk_port: int
    central_command: list[str]
    central_env: dict[str, str]
    agent_options: tuple[str, ...]
    seed: Seed = field(default_factory=lambda: Seed("", "", "", []))
    agent: asyncio.subprocess.Process | None = None
    central: asyncio.subprocess.Process | None = None
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    @cached_property
    def staff(self) -> Staff:
        """Somebody at the front desk."""
        return Staff(self.central_url)

    @property
    def state(self) -> Path:
        """The agent's state folder."""
        return self.folder / "agent"

    @property
    def device(self) -> str:
        """The door's id at central."""
        return load_identity(self.state).device

    async def start_central(self) -> None:
        """Start central and wait until it answers."""
        self.central = await self._running.enter_async_context(
            running("central", self.central_command, self.folder, self.central_env)
        )
        await self._wait_for("central", self.central, self.staff.is_up)

    async def stop_central(self) -> None:
        """End central as an operator would."""
        assert self.central is not None
        await stop(self.central)

    async def start_agent(self) -> None:
        """Start the door's agent and wait until it serves its page, when it reads cards, and can be worked."""
        command = doorstile("run", "--state", str(self.state), "--kiosk-port", str(self.kiosk_port))
        self.agent = await self._running.enter_async_context(
            running("agent", [*command, *self.agent_options], self.folder)
        )
        await self._wait_for("agent", self.agent, self._is_working)

    async def kill_agent(self) -> None:
        """End the agent by SIGKILL."""
        assert self.agent is not None
        await kill(self.agent)

    async def sim(self, do: str, **args: str) -> SimAnswer:
        """Work the simulated hardware; raise DemoError where the agent refuses."""
        answer = await ask(self.state, SimRequest(do=do, args=args))
        if answer.error:
            raise DemoError(answer.error)
        return answer

    async def door(self) -> dict[str, str]:
        """Return how the door looks now."""
        return (await self.sim("status")).door

    async def until(self, name: str, value: str, *, within_s: float = 30.0) -> None:
        """Wait until a part of the door looks so."""
        try:
            async with asyncio.timeout(within_s):
                while True:
                    if (await self.door()).get(name) == value:
                        return
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise DemoError(f"{name} did not become {value!r} within {within_s:g} s: {await self.door()}") from None

    async def close(self) -> None:
        """Stop everything, the agent first."""
        await self._running.aclose()

    async def populate(self) -> None:
        """Make members and staff at central, and let the door join."""
        printed = await output_of(manage("demo_seed", "--json"), env=self.central_env)
        if self.central is not None:
            self._require_running("central", self.central)
        self.seed = msgspec.json.decode(printed, type=Seed)
        if not (self.state / IDENTITY_FILE).exists():
            words = ("--central", self.central_url, "--code", self.seed.code, "--state", str(self.state), "--yes")
            await output_of(doorstile("join", *words))
        await self.staff.log_in(self.seed.username, self.seed.password)

    async def _is_working(self) -> bool:
        has_control = "simulated" in self.agent_options  # where a reader is real nobody works it from outside
        return await self._has_page() and (not has_control or await self._has_control())

    async def _has_page(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.kiosk_port)
        except OSError:
            return False
        writer.close()
        return True

    async def _has_control(self) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(self.state / SOCKET_NAME)
        except OSError:
            return False
        writer.close()
        return True

    def _require_running(self, name: str, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            raise DemoError(f"{name} ended:\n{tail_of(name, self.folder)}")

    async def _wait_for(
        self, name: str, process: asyncio.subprocess.Process, is_up: Callable[[], Awaitable[bool]]
    ) -> None:
        try:
            async with asyncio.timeout(_UP_WITHIN_S):
                while True:
                    answers = await is_up()  # perhaps somebody else does, on the same port
                    self._require_running(name, process)
                    if answers:
                        return
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise DemoError(f"{name} did not come up:\n{tail_of(name, self.folder)}") from None


def _silent(_: str) -> None:
    """Say nothing."""


@asynccontextmanager
async def world(folder: Path, setup: Setup, say: Callable[[str], None] = _silent) -> AsyncIterator[World]:
    """Build the world in `folder`: central runs, members exist, the door joined and reads cards.

    `say` is told what is begun next, as each takes some seconds.
    """
    port = setup.central_port or free_port()
    embedded = doorstile("central", "--port", str(port), "--data", str(folder / "central"))
    built = World(
        folder=folder,
        central_url=f"http://127.0.0.1:{port}",
        kiosk_port=setup.kiosk_port or free_port(),
        central_command=[word.replace("{port}", str(port)) for word in setup.central_command] or embedded,
        central_env={"DOORSTILE_DATA": str(folder / "central"), **setup.central_env},
        agent_options=setup.agent_options,
    )
    built.state.mkdir(parents=True, exist_ok=True)
    try:
        say("Central starts.")
        await built.start_central()
        say("Members are entered, and the door joins.")
        await built.populate()
        say("The door's agent starts.")
        await built.start_agent()
        yield built
    finally:
        await built.close()


def is_free(port: int) -> bool:
    """Say whether this machine would let us listen on a port now; 0 is any."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """Return a TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
