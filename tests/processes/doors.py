"""Doors for the harnesses: real agents with simulated readers behind a bad line, beside one real central."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from agent.identity import load_identity, save_identity
from agent.simulation import SOCKET_NAME, SimRequest
from demo.processes import DemoError, output_of, running
from demo.world import World, free_port
from tests.processes.door_process import LINE_VARIABLE, is_on
from tests.processes.proxy import Proxy, proxy_to

PULSE_S: Final = 0.3
CEILING_S: Final = 1.0
PROFILE: Final = f"""
name = "door"
description = "Two simulated readers and a line that keeps its level"
lock_type = "fail_secure"
egress = "mechanical"

[[readers]]
name = "in"
driver = "simulated"
direction = "in"

[[readers]]
name = "out"
driver = "simulated"
direction = "out"

[strike]
driver = "simulated"
pulse_s = {PULSE_S}
ceiling_s = {CEILING_S}

[light]
driver = "simulated"

[buzzer]
driver = "simulated"
"""
CONFIG: Final = """
[door]
hold_off_s = 0

[journal]
keep_acknowledged = 1000000
"""


def door_command(*words: str) -> list[str]:
    """Return the command line of `doorstile` with a line that keeps its level and places to die at."""
    return [sys.executable, "-m", "tests.processes.door_process", *words]


@dataclass
class Door(World):
    """One agent. Its `env` may arm faults for the next start; `starts` counts them."""

    env: dict[str, str] = field(default_factory=dict)
    starts: int = 0

    @property
    def line(self) -> Path:
        """The file that stands for the relay line."""
        return self.folder / "line"

    @property
    def log(self) -> str:
        """What the agent said so far, over all its starts."""
        return (self.folder / "agent.log").read_text(errors="replace")

    @property
    def words(self) -> list[str]:
        """The agent's command line after `doorstile`."""
        return ["run", "--state", str(self.state), "--kiosk-port", str(self.kiosk_port), *self.agent_options]

    async def start_agent(self) -> None:
        """Start the agent and wait until it reads cards."""
        await self.launch()
        assert self.agent is not None
        await self._wait_for("agent", self.agent, self._reads_cards)

    async def launch(self) -> None:
        """Start the agent and do not wait."""
        with contextlib.suppress(OSError):  # the folder may be read-only on purpose
            (self.state / SOCKET_NAME).unlink(missing_ok=True)
        env = {LINE_VARIABLE: str(self.line), **self.env}
        self.agent = await self._running.enter_async_context(
            running("agent", door_command(*self.words), self.folder, env)
        )
        self.starts += 1

    async def ended(self, *, within_s: float = 15.0) -> int:
        """Wait for the agent's own end; return its exit code, negative for a signal."""
        assert self.agent is not None
        async with asyncio.timeout(within_s):
            return await self.agent.wait()

    async def outputs_off(self) -> None:
        """What the service does after its process died: `ExecStopPost` of the unit."""
        command = door_command("run", "--state", str(self.state), *self.agent_options, "--outputs-off")
        await output_of(command, env={LINE_VARIABLE: str(self.line)})

    async def clean_up(self) -> None:
        """Bring the line to its safe state as the service would; raise DemoError where it stays on."""
        if is_on(self.line):
            await self.outputs_off()
        if is_on(self.line):
            raise DemoError(f"{self.line}: the line is still on after --outputs-off")

    async def revive(self) -> None:
        """What the service manager does after a death: outputs off, then a new process."""
        await self.clean_up()
        await self.start_agent()

    async def _reads_cards(self) -> bool:
        try:
            answer = await self.sim("status")
        except (OSError, TimeoutError, msgspec.DecodeError):
            return False
        return answer.door["readers"].count("ready") == 2 and await self._has_page()


class Taps:
    """One open control socket to a door's agent: many taps a second, each answered when its reader has taken it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def do(self, do: str, **args: str) -> bytes:
        """Do one thing at the door; raise OSError where the agent is gone."""
        self._writer.write(msgspec.json.encode(SimRequest(do=do, args=args)) + b"\n")
        await self._writer.drain()
        answer = await self._reader.readline()
        if not answer:
            raise ConnectionResetError("the agent went away")
        return answer


@contextlib.asynccontextmanager
async def tapping(door: World) -> AsyncIterator[Taps]:
    """Open a control socket; raise OSError where no agent listens."""
    reader, writer = await asyncio.open_unix_connection(door.state / SOCKET_NAME)
    try:
        yield Taps(reader, writer)
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def central_alone(folder: Path, central_env: Mapping[str, str] | None = None) -> AsyncIterator[World]:
    """Run a central without any door; members and staff come with the first door that joins."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "agent", "central", "--port", str(port), "--data", str(folder / "central")]
    built = World(
        folder=folder,
        central_url=f"http://127.0.0.1:{port}",
        kiosk_port=0,
        central_command=command,
        central_env={"DOORSTILE_DATA": str(folder / "central"), **(central_env or {})},
        agent_options=(),
    )
    try:
        await built.start_central()
        yield built
    finally:
        await built.close()


def new_door(folder: Path, central: World, *, config: str = CONFIG, profile: str = PROFILE) -> Door:
    """Return a door beside a central; nothing of it runs yet."""
    (folder / "agent").mkdir(parents=True, exist_ok=True)
    (folder / "door.toml").write_text(profile)
    (folder / "agent.toml").write_text(config)
    return Door(
        folder=folder,
        central_url=central.central_url,
        kiosk_port=free_port(),
        central_command=central.central_command,
        central_env=central.central_env,
        agent_options=("--profile", str(folder / "door.toml"), "--config", str(folder / "agent.toml")),
    )


def point_at(door: Door, url: str) -> None:
    """Let the agent reach central by another address from its next start on."""
    save_identity(door.state, msgspec.structs.replace(load_identity(door.state), central=url))


@contextlib.asynccontextmanager
async def door_beside(
    folder: Path, central: World, *, config: str = CONFIG, profile: str = PROFILE
) -> AsyncIterator[tuple[Door, Proxy]]:
    """Join a door to central and put a proxy between them; the agent is not started."""
    door = new_door(folder, central, config=config, profile=profile)
    port = int(central.central_url.rpartition(":")[2])
    try:
        async with proxy_to(port) as proxy:
            await door.populate()
            point_at(door, proxy.url)
            try:
                yield door, proxy
            finally:
                await door.close()
    finally:
        await door.close()
