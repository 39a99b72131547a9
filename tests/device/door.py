"""A door in the guest: the agent as its unit starts it, from our wheel, beside a central on the host."""

import asyncio
import contextlib
import io
import shutil
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Final

import msgspec

from demo.compare import Comparison, compare
from demo.processes import manage, output_of
from demo.world import Card, Seed, World, free_port
from tests.device.edges import Edge, Rule, faults_of
from tests.device.guest import Guest, GuestError
from tests.device.image import Ready
from tests.device.qemu import Machine
from tests.fakes.virtual_card import VirtualCard, uid_answer
from tests.processes.evidence import Record, wrong_passages
from tests.processes.lab import GREEN, Page, ShortError, need

UNIT: Final = "doorstile-agent.service"
STATE: Final = "/var/lib/doorstile"
RELAY: Final = 17
GREEN_LED: Final = 23
PULSE_S: Final = 2.0
CEILING_S: Final = 4.0
RULE: Final = Rule(ceiling_ms=CEILING_S * 1000, late_ms=1000, off_within_ms=5_000)
"""After a kill the keeper switches off: milliseconds on a Pi, up to two seconds on an emulated and busy machine."""
READS_WITHIN_S: Final = 90.0
ANSWERS_WITHIN_S: Final = 30.0
_MOVED: Final = GREEN | {"reading", "denied", "out_of_service"}
_SHOWN_TIMES: Final = 5
_NOTICED_WITHIN_S: Final = 6.0
_LIFTED_S: Final = 1.5
_VPCD_PORT: Final = 35963
_KIOSK_PORT: Final = 8081

HEAD: Final = """
name = "bench"
description = "The guest's door"
pin_factory = "lgpio"
lock_type = "fail_secure"
egress = "mechanical"
"""
CARD_READER: Final = """
[[readers]]
name = "in"
driver = "pcsc"
direction = "in"
match = "Virtual PCD"
"""
OUTPUTS: Final = f"""
[strike]
driver = "gpio"
line = {RELAY}
active_high = true
safe_state = "inactive"
contact = "NO"
pulse_s = {PULSE_S}
ceiling_s = {CEILING_S}
hang_guard = "hardware_watchdog"

[light]
driver = "gpio"
green = {{ line = {GREEN_LED}, active_high = true, safe_state = "inactive" }}

[buzzer]
driver = "none"
"""
CONFIG: Final = """
profile = "/etc/doorstile/door.toml"

[door]
hold_off_s = 0

[journal]
keep_acknowledged = 1000000
"""


@dataclass
class GuestDoor(World):
    """A door whose agent runs in the guest; `state` is where the guest's own is copied to by `collect`."""

    guest: Guest = field(kw_only=True)
    page: Page = field(init=False)
    edges: list[Edge] = field(default_factory=list)
    ends_ms: list[float] = field(default_factory=list)
    card_port: int = 0
    inner_state: str = STATE
    _next_card: Iterator[Card] = field(init=False)

    def __post_init__(self) -> None:
        """Nobody looks at the page yet."""
        self.page = Page(self)

    async def settle_in(self, profile: str) -> None:
        """Reach central and leave the files that an installer would leave."""
        await self.guest.sh("hwclock --hctosys --utc")
        await self.heal_link()
        await self.guest.put("/etc/doorstile/door.toml", profile)
        await self.guest.put("/etc/doorstile/agent.toml", f'state = "{self.inner_state}"\n{CONFIG}')

    async def join(self) -> None:
        """Make members at central and let the door join."""
        printed = await output_of(manage("demo_seed", "--json"), env=self.central_env)
        self.know(msgspec.json.decode(printed, type=Seed))
        port = self.central_url.rpartition(":")[2]
        await self.guest.sh(
            f"/opt/doorstile/bin/doorstile join --central http://127.0.0.1:{port} --code {self.seed.code} --yes "
            f"--state {self.inner_state}"
        )

    def know(self, seed: Seed) -> None:
        """Take over the members that exist."""
        self.seed = seed
        self._next_card = cycle(seed.cards)

    async def start(self) -> None:
        """Start the unit and return once the agent has said that it reads cards."""
        await self.guest.sh(f"systemctl start {UNIT}", within_s=READS_WITHIN_S)

    async def stop(self) -> None:
        """Stop it as systemd does."""
        await self.guest.sh(f"systemctl stop {UNIT}", within_s=READS_WITHIN_S)

    async def restart(self) -> None:
        """Stop and start it as systemd does."""
        self.ends_ms.append(await self.guest.ask("clock"))
        await self.guest.sh(f"systemctl restart {UNIT}", within_s=READS_WITHIN_S)

    async def kill(self) -> None:
        """SIGKILL to the agent, and wait until the unit has brought up another one."""
        self.ends_ms.append(await self.guest.ask("clock"))
        before = await self.main_pid()
        await self.guest.sh(f"kill -9 {before}")
        await self.guest.until(
            f"systemctl is-active --quiet {UNIT} && [ $(systemctl show -P MainPID {UNIT}) != {before} ]",
            within_s=READS_WITHIN_S,
        )

    async def reboot(self) -> None:
        """Reboot the machine; the rest of its disk's life goes on without the snapshot."""
        with contextlib.suppress(GuestError):
            await self.guest.sh("systemctl --no-block reboot")
        await self.guest.woken_again()
        await self.heal_link()

    async def main_pid(self) -> int:
        """Return the agent's process id in the guest."""
        return int(await self.guest.sh(f"systemctl show -P MainPID {UNIT}"))

    async def cut_link(self) -> None:
        """Take central away."""
        await self.guest.sh("systemctl stop central-relay.socket central-relay.service")

    async def heal_link(self) -> None:
        """Give it back: the agent speaks plainly to loopback only, and this leads from there to the host's loopback."""
        port = self.central_url.rpartition(":")[2]
        await self.guest.sh(
            f"systemd-run --quiet --unit=central-relay --socket-property=ListenStream=127.0.0.1:{port} "
            f"/lib/systemd/systemd-socket-proxyd 10.0.2.2:{port}"
        )

    def card(self) -> str:
        """Return the next member's card, hex."""
        return next(self._next_card).uid

    @contextlib.asynccontextmanager
    async def card_on_reader(self, uid: str) -> AsyncIterator[None]:
        """Lay a card on the reader for as long as the block lasts."""
        card = VirtualCard(self.card_port, uid_answer(bytes.fromhex(uid)))
        await asyncio.to_thread(card.insert)
        try:
            yield
        finally:
            await asyncio.to_thread(card.remove)

    async def opens_by_card(self) -> None:
        """Tap until green is shown, and see the relay's line go up and down again; raise ShortError."""
        await self.unlocks_by_card()
        await self.rests()

    async def unlocks_by_card(self) -> None:
        """Tap until green is shown and the relay's line is high; raise ShortError.

        A card that lies there while the reader comes up is no presentation, so it is lifted and shown again.
        """
        uid = self.card()
        for _ in range(_SHOWN_TIMES):
            async with self.card_on_reader(uid):
                if await self._is_answered():
                    return
            await asyncio.sleep(_LIFTED_S)
        raise self._no_green()

    async def unlocks(self, present: Callable[[str], Awaitable[None]]) -> None:
        """Let something else present a card until green is shown and the relay's line is high; raise ShortError."""
        uid = self.card()
        for _ in range(_SHOWN_TIMES):
            await present(uid)
            if await self._is_answered():
                return
        raise self._no_green()

    def _no_green(self) -> ShortError:
        shown = [view["state"] for view in self.page.seen[-6:]]
        return ShortError(f"no green for a card that was shown {_SHOWN_TIMES} times; the page showed {shown}")

    async def _is_answered(self) -> bool:
        """Wait for a green that was not shown before; False where nothing moves. A picture may be sent twice."""
        known = {view.get("support") for view in self.page.seen}
        after, within_s = len(self.page.seen), _NOTICED_WITHIN_S
        while True:
            try:
                view = await self.page.next_of(_MOVED, after=after, within_s=within_s)
            except ShortError:
                return False
            if view["state"] in GREEN and view.get("support") not in known:
                need(await self.guest.level(RELAY) == 1, "green is shown and the relay's line is low")
                return True
            after = self.page.seen.index(view, after) + 1
            within_s = ANSWERS_WITHIN_S if view["state"] == "reading" else within_s

    async def rests(self, *, within_s: float = 15.0) -> None:
        """Wait until the relay's line is low; raise ShortError."""
        try:
            async with asyncio.timeout(within_s):
                while await self.guest.level(RELAY):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise ShortError(f"the relay's line is high after {within_s:g} s") from None

    async def checked(self) -> tuple[Record, Comparison]:
        """Wait until both sides are equal and see every edge inside its grant; raise ShortError."""
        record, found = await self.settled()
        need(
            found.is_equal,
            f"device and central differ: {len(found.missing)} missing, {len(found.invented)} invented, "
            f"{len(found.different)} different, {found.twice} twice, {found.dead_letters} rejected",
        )
        wrong = list(faults_of(self.edges, RELAY, record.openings_ms(), self.ends_ms, RULE))
        wrong += wrong_passages(record)
        need(not wrong, "; ".join(wrong[:5]))
        return record, found

    async def log(self) -> str:
        """Return what the unit said."""
        return await self.guest.sh(f"journalctl --no-pager -o cat -u {UNIT}")

    async def collect(self) -> Record:
        """Copy the state and the record of the lines to the host; return the journal."""
        self.edges += await self.guest.new_edges()
        await self.guest.sh(
            f"tar -C {self.inner_state} --exclude='*.sock' --warning=no-file-changed -cf /tmp/state.tar . || [ $? = 1 ]"
        )
        packed = await self.guest.get("/tmp/state.tar")
        shutil.rmtree(self.state, ignore_errors=True)
        self.state.mkdir(parents=True)
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            tar.extractall(self.state, filter="data")
        return Record.of(self.state)

    async def settled(self, *, within_s: float = 90.0) -> tuple[Record, Comparison]:
        """Wait until both sides are equal; return the journal and the last comparison."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while True:
            record = await self.collect()
            found = await compare(self)
            if found.is_equal or loop.time() > until:
                return record, found
            await asyncio.sleep(2)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where cases run: the booted guest's snapshot, and a central on the host."""

    folder: Path
    central: World
    ready: Ready

    @contextlib.asynccontextmanager
    async def guest(self, name: str) -> AsyncIterator[tuple[Guest, dict[str, int]]]:
        """Wake the guest up; yield it with the host's ports of its card slot and its page."""
        ports = {"card": free_port(), "kiosk": free_port()}
        plan = self.ready.copied_to(self.folder / name)
        plan.forwards.update({ports["card"]: _VPCD_PORT, ports["kiosk"]: _KIOSK_PORT})
        async with asyncio.TaskGroup() as tasks:
            guest = await Guest.of(await Machine.start(plan), tasks)
            try:
                yield guest, ports
            finally:
                await guest.close()

    @contextlib.asynccontextmanager
    async def door(self, name: str, profile: str, *, disk: "DataDisk | None" = None) -> AsyncIterator[GuestDoor]:
        """Wake the guest up and configure it; the agent is not started. The page is watched.

        It joins, unless the disk of its state has an identity already.
        """
        async with self.guest(name) as (guest, ports), asyncio.TaskGroup() as tasks:
            door = GuestDoor(
                folder=self.folder / name,
                central_url=self.central.central_url,
                kiosk_port=ports["kiosk"],
                central_command=self.central.central_command,
                central_env=self.central.central_env,
                agent_options=(),
                card_port=ports["card"],
                guest=guest,
            )
            if disk is not None:
                door.inner_state = f"{STATE}/state"
                await disk.mount(guest)
            await door.settle_in(profile)
            if disk is None or not disk.is_used:
                await door.join()
            watching = tasks.create_task(door.page.watch())
            try:
                yield door
            finally:
                watching.cancel()


@dataclass(frozen=True, slots=True)
class DataDisk:
    """A disk of its own for the agent's state; with a log, all that it is told is written down."""

    image: Path
    log: Path | None = None
    is_used: bool = False

    async def mount(self, guest: Guest) -> None:
        """Plug it in and mount it where the agent keeps its state."""
        await guest.machine.attach(self.image, self.log)
        await guest.until("test -b /dev/vdb", within_s=30)
        await guest.sh(f"mkdir -p {STATE} && mount -o noatime /dev/vdb {STATE}")
