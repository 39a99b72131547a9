"""Central's ingest: batches of 200 events, on SQLite and on PostgreSQL.

The peer is Django's `bulk_create(ignore_conflicts=True)` of the events alone, a transaction for each batch. Ours are
the insert alone, and the whole of it: token of the session, run, digests and chain, events, movements, visits, cursor.
Each database is measured in a process of its own, as Django has one for a process.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from bench.measure import (
    Options,
    Target,
    conclude,
    in_turn,
    median,
    print_table,
    read_options,
    say_calibration,
    work_folder,
)

BATCH: Final = 200
_BATCHES: Final = {True: 4, False: 20}
_MEMBERS: Final = 120
_MEASURE: Final = "--measure"
_PEER: Final = "bulk_create of the events alone"
_INSERT: Final = "insert alone"
_WHOLE: Final = "whole transaction with visits"


def main() -> int:
    """Measure on each database that can be had and judge."""
    options = read_options(__doc__ or "")
    with work_folder(options) as folder:
        say_calibration(folder)
        targets = judge("sqlite", measured({"DOORSTILE_DATA": str(folder / "sqlite")}, options))
        targets += _on_postgres(folder, options)
    return conclude(targets, options)


def _on_postgres(folder: Path, options: Options) -> list[Target]:
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and shutil.which("initdb") is None:
        print("postgresql: not run, it is not installed (apt install postgresql)")
        return []
    # The tests know how to start one; nobody who lacks their tools has asked for it until here.
    from tests.services.postgres import running_postgres

    folder.chmod(0o755)
    with running_postgres(below=folder, is_durable=True) as url:
        environment = {"DOORSTILE_DATABASE_URL": url, "DOORSTILE_DATA": str(folder / "postgresql")}
        return judge("postgresql", measured(environment, options))


def measured(environment: dict[str, str], options: Options) -> dict[str, list[float]]:
    """Return events per second of each contender, round by round, measured in a process of its own."""
    command = [sys.executable, "-m", "bench.ingest", _MEASURE, str(options.rounds), str(_BATCHES[options.is_quick])]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    rates: dict[str, list[float]] = json.loads(done.stdout)
    return rates


def judge(database: str, rates: dict[str, list[float]]) -> list[Target]:
    """Print the table of one database and return its targets; ratios are taken round by round."""
    print(f"\n{database}, batches of {BATCH}")
    rows: list[Sequence[object]] = [(name, median(of), ratio(of, rates[_PEER])) for name, of in rates.items()]
    print_table(("", "events/s", "ratio"), rows)
    return [
        Target(f"ingest_{database}_insert_ratio", ratio(rates[_INSERT], rates[_PEER]), 2.0, is_floor=True),
        Target(f"ingest_{database}_whole_ratio", ratio(rates[_WHOLE], rates[_PEER]), 1.0, is_floor=True),
    ]


def ratio(ours: list[float], peers: list[float]) -> float:
    """Return the median of the ratios of pairs that were measured one after the other."""
    return median([one / other for one, other in zip(ours, peers, strict=True)])


def measure(rounds: int, batches: int) -> dict[str, list[float]]:
    """Measure all contenders in turn on the database that the environment names."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "central.config.settings"
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    stage = _Stage(batches)
    contenders = {_PEER: stage.create, _INSERT: stage.insert, _WHOLE: stage.ingest}
    in_turn(1, contenders)
    with connection.cursor() as cursor:
        # Planners know the tables then, as they do within a minute of real work.
        cursor.execute("ANALYZE")
    return in_turn(rounds, contenders)


class _Stage:
    """A device with members, and what it sends: each piece of work is a run of its own, later than all before."""

    def __init__(self, batches: int) -> None:
        from central.devices.models import Device, Door, Site
        from central.directory.models import Member

        self._batches = batches
        self._pieces = 0
        site = Site.objects.create(name="Bench")
        door = Door.objects.create(site=site, name="Door")
        self._device = Device.objects.create(door=door, name="Bench", session=1, sealed_credential_key=b"")
        self._members = [Member.objects.create(full_name=f"Member {n}").pk for n in range(_MEMBERS)]

    def create(self) -> float:
        """Let Django create the events."""
        from django.db import transaction

        from central.checkins import applying
        from central.checkins.models import Event

        run, rows = self._rows()
        names = tuple(applying.EVENTS.columns)[1:]

        def piece(batch: list[tuple[Any, ...]]) -> None:
            with transaction.atomic():
                events = [Event(run=run, **dict(zip(names, row[1:], strict=True))) for row in batch]
                Event.objects.bulk_create(events, ignore_conflicts=True)

        return self._timed(piece, rows)

    def insert(self) -> float:
        """Insert the events as the ledger does."""
        from django.db import transaction

        from central.checkins import applying, bulk

        _, rows = self._rows()

        def piece(batch: list[tuple[Any, ...]]) -> None:
            with transaction.atomic():
                bulk.write(applying.EVENTS, batch)

        return self._timed(piece, rows)

    def ingest(self) -> float:
        """Take the events in, with all that follows."""
        from central.checkins import ingest, runs
        from tests.fakes.journal_script import hello

        journal = self._journal()
        runs.register(self._device.pk, 1, hello(self._device.pk, [journal.state()]))
        sent = [(at + 1, journal.raws(at + 1, at + BATCH)) for at in range(0, journal.last, BATCH)]

        def piece(batch: tuple[int, list[bytes]]) -> None:
            done = ingest.ingest_events(self._device.pk, 1, journal.run, *batch)
            assert not done.rejections

        return self._timed(piece, sent)

    def _timed(self, piece: Callable[[Any], None], batches: Sequence[Any]) -> float:
        began = time.perf_counter()
        for batch in batches:
            piece(batch)
        return self._batches * BATCH / (time.perf_counter() - began)

    def _journal(self) -> Any:
        from tests.fakes.journal_script import JournalScript
        from wire.vocabulary import Direction

        self._pieces += 1
        journal = JournalScript(self._device.pk, f"{self._pieces:016x}", ord=self._pieces)
        begin_ms = self._pieces * 86_400_000
        for visit in range(self._batches * BATCH // 2):
            way = Direction.IN if visit // _MEMBERS % 2 == 0 else Direction.OUT
            journal.visit(self._members[visit % _MEMBERS], begin_ms + visit * 5000, way)
        return journal

    def _rows(self) -> tuple[Any, list[list[tuple[Any, ...]]]]:
        from central.checkins.admission import Admitted, admit
        from central.checkins.models import Run

        journal = self._journal()
        run = Run.objects.create(device=self._device, run=journal.run, store="b", ord=0, head="", first_head="")
        rows: list[tuple[Any, ...]] = []
        for n, raw in enumerate(journal.raws(), 1):
            item = admit(n, raw)
            assert isinstance(item, Admitted)
            rows.append(_row(run.pk, item))
        return run, [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]


def _row(run_id: int, item: Any) -> tuple[Any, ...]:
    event = item.event
    figures = (event.kind, event.boot, event.mono_ms, event.wall_ms, event.q.value, event.err_ms)
    return (run_id, item.n, *figures, event.wall_ms, event.wall_ms, item.digest.hex(), item.member, item.text)


if __name__ == "__main__":
    if _MEASURE in sys.argv:
        from asgiref.sync import sync_to_async

        # In a thread beside a running loop, as in the server: what is told to pages goes through that loop.
        in_server = sync_to_async(measure, thread_sensitive=False)
        print(json.dumps(asyncio.run(in_server(*map(int, sys.argv[2:4])))))
        sys.exit(0)
    sys.exit(main())
