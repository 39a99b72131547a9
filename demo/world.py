"""The demo's world: a central with members, and one door that joined it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from agent.identity import load_identity
from agent.simulation import SimAnswer, SimRequest, ask
from demo.processes import DemoError, doorstile, kill, manage, output_of, running, stop, tail_of
from demo.staff import Staff

_UP_WITHIN_S: Final = 30.0
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


@dataclass
class World:
    """A running central and a door beside it. `central_env` makes central's commands see the same data."""

    folder: Path
    central_url: str
    kiosk_port: int
    seed: Seed
    staff: Staff
    central_env: dict[str, str]
    agent: asyncio.subprocess.Process | None = None
    _agents: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def state(self) -> Path:
        """The agent's state folder."""
        return self.folder / "agent"

    @property
    def device(self) -> str:
        """The door's id at central."""
        return load_identity(self.state).device

    async def start_agent(self) -> None:
        """Start the door's agent and wait until it reads cards."""
        command = doorstile(
            "run", "--state", str(self.state), "--profile", "simulated", "--kiosk-port", str(self.kiosk_port)
        )
        self.agent = await self._agents.enter_async_context(running("agent", command, self.folder))
        await self._wait_for_agent()

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
        """Stop the agent."""
        await self._agents.aclose()

    async def _wait_for_agent(self) -> None:
        try:
            async with asyncio.timeout(_UP_WITHIN_S):
                while True:
                    try:
                        await ask(self.state, SimRequest(do="status"))
                    except (OSError, TimeoutError):
                        await asyncio.sleep(_POLL_S)
                        if self.agent is not None and self.agent.returncode is not None:
                            raise DemoError(f"the agent ended:\n{tail_of('agent', self.folder)}") from None
                    else:
                        return
        except TimeoutError:
            raise DemoError(f"the agent did not come up:\n{tail_of('agent', self.folder)}") from None


@asynccontextmanager
async def world(folder: Path, *, central_port: int, kiosk_port: int) -> AsyncIterator[World]:
    """Build the world in `folder`: central runs, members exist, the door joined and reads cards. Port 0 takes any."""
    (folder / "agent").mkdir(parents=True, exist_ok=True)
    port = central_port or free_port()
    url = f"http://127.0.0.1:{port}"
    env = {"DOORSTILE_DATA": str(folder / "central")}
    command = doorstile("central", "--port", str(port), "--data", str(folder / "central"))
    async with running("central", command, folder, env) as central:
        await _wait_for_central(url, central, folder)
        seed = msgspec.json.decode(await output_of(manage("demo_seed", "--json"), env=env), type=Seed)
        if not (folder / "agent" / "identity.json").exists():
            join = doorstile("join", "--central", url, "--code", seed.code, "--state", str(folder / "agent"), "--yes")
            await output_of(join)
        staff = Staff(url)
        await staff.log_in(seed.username, seed.password)
        built = World(folder, url, kiosk_port, seed, staff, env)
        try:
            await built.start_agent()
            yield built
        finally:
            await built.close()
            await stop(central)


def free_port() -> int:
    """Return a TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _wait_for_central(url: str, central: asyncio.subprocess.Process, folder: Path) -> None:
    try:
        async with asyncio.timeout(_UP_WITHIN_S):
            while True:
                if await Staff(url).is_up():
                    return
                if central.returncode is not None:
                    raise DemoError(f"central ended:\n{tail_of('central', folder)}")
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise DemoError(f"central did not come up:\n{tail_of('central', folder)}") from None
