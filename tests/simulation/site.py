"""Central as a process: the product's own consumer, connections and sessions before the modelled database."""

import asyncio
from collections.abc import Callable, Coroutine
from enum import StrEnum
from random import Random
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from django.db import OperationalError

from central.sync.consumer import DeviceConsumer
from central.sync.database import Database
from central.sync.exchange import Now, Terms
from central.sync.switchboard import Notice, Switchboard, What
from tests.simulation.ledger import Ledger
from tests.simulation.network import Network, Wire
from tests.simulation.tables import Tables
from tests.simulation.truth import Truth
from wire.vocabulary import SUBPROTOCOL

T = TypeVar("T")

SWEEP_S: Final = 10.0
BUSY: Final = 0.3
"""Share of database calls that others get in between of."""


class CentralTrip(StrEnum):
    """What happens at the next batch."""

    BEFORE = "before"  # the process dies before the commit
    AFTER = "after"  # it dies after the commit, before the acknowledgement is sent


class _Board(Switchboard):
    """Notices within this process; while `is_deaf` none arrives."""

    is_deaf = False

    async def supersede(self, device_id: UUID, session: int) -> None:
        self.tell(device_id, Notice(What.SUPERSEDED, session))

    def tell(self, device_id: UUID, notice: Notice) -> None:
        if not self.is_deaf:
            self.to_device(device_id, notice)


class _Database:
    """Answers for the real one: each function of the records is done by the ledger under the same name."""

    def __init__(self, central: "Central") -> None:
        self._central = central

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        central, name = self._central, work.__name__
        if central.random.random() < BUSY:
            await asyncio.sleep(central.database_s)
        if central.is_database_down:
            raise OperationalError("the database does not answer")
        is_batch = name == "ingest_batch"
        if is_batch and central.tripped(CentralTrip.BEFORE):
            central.crash()
            await _for_ever()
        done: T = getattr(central.ledger, name)(*args)
        if is_batch and central.tripped(CentralTrip.AFTER):
            central.crash()
            await _for_ever()
        return done


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


class Central:
    """The process that devices connect to, and its restarts."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random, truth: Truth, devices: set[str]) -> None:
        self._loop = loop
        self._truth = truth
        self.random = random
        self.network = Network(
            loop, random, self.serve, lambda card, is_shut_out: truth.told(card, is_shut_out=is_shut_out)
        )
        self.ledger = Ledger(truth, devices)
        self.backups: list[Tables] = [self.ledger.tables.copy()]
        self.terms = Terms()
        self.database_s = 0.002
        self.is_database_down = False
        self.is_deaf = False
        self.trip: CentralTrip | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._board: _Board | None = None
        self._consumer: DeviceConsumer | None = None

    @property
    def is_up(self) -> bool:
        """True while the process runs."""
        return self._board is not None

    def now(self) -> Now:
        """Return central's clocks, which are right."""
        return Now(int(self._loop.time() * 1000), self._truth.true_ms())

    def start(self) -> None:
        """Let the process run."""
        if self._board is None:
            self._board = _Board()
            self._board.is_deaf = self.is_deaf
            self._consumer = DeviceConsumer(
                self._board, cast(Database, _Database(self)), audience="central", terms=self.terms
            )
            self._spawn(self._housekeep(), "housekeeping")

    def crash(self, *, down_s: float | None = 8.0) -> None:
        """Lose the process; what was committed stays. It is back after `down_s`, or when started."""
        self._truth.note("central", "down")
        self._board = self._consumer = None
        self.network.drop_all()
        self.ledger.went_down()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if down_s is not None:
            self._loop.call_later(down_s, self.start)

    def restore(self, back: int) -> None:
        """Put an older backup in place, while the process is down."""
        self.crash()
        self.ledger.restore(self.backups[-min(back, len(self.backups))])

    def back_up(self) -> None:
        """Keep a copy."""
        self.backups = [*self.backups[-3:], self.ledger.tables.copy()]

    def hear(self, *, deaf: bool) -> None:
        """Let notices be lost, or not any more."""
        self.is_deaf = deaf
        if self._board is not None:
            self._board.is_deaf = deaf

    def tripped(self, kind: CentralTrip) -> bool:
        """Whether this was to happen now; it happens once."""
        if self.trip is not kind:
            return False
        self.trip = None
        return True

    def tell(self, device: str, what: What) -> None:
        """Give a hint to a device's connections."""
        if self._board is not None:
            self._board.tell(UUID(device), Notice(what))

    def revoke(self, device: str) -> None:
        """Do not let a device work any more."""
        self._truth.note("revoked", device[-4:])
        self.ledger.tables.revoked.add(device)
        self.tell(device, What.REVOKED)

    def let_work(self, *devices: str) -> None:
        """Let devices work again."""
        self._truth.note("let work", *(device[-4:] for device in devices))
        self.ledger.tables.revoked -= set(devices)

    def serve(self, wire: Wire, token: str) -> None:
        """Take a handshake."""
        consumer = self._consumer
        if consumer is None:
            wire.drop()
            return
        scope = {
            "headers": [(b"authorization", b"Bearer " + token.encode())],
            "query_string": b"",
            "subprotocols": [SUBPROTOCOL],
        }
        self._spawn(consumer(scope, wire.receive, wire.reply), "consumer")

    def _spawn(self, job: Coroutine[Any, Any, None], name: str) -> None:
        task = self._loop.create_task(job, name=name)
        self._tasks.append(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:
            self._tasks.remove(task)
        if not task.cancelled() and task.exception() is not None:
            self._truth.broken(f"central: {task.get_name()} failed: {task.exception()!r}")

    async def _housekeep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            self.ledger.sweep()
