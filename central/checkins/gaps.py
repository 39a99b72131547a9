"""Events that neither side has any more: a restored central lacks them, and the device deleted them long ago.

Each run says where the one before it ended, so a hole shows between two runs that did arrive. Whether it is one for
good is known once the device says that nothing waits any more.
"""

from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

from central.checkins.alerts import raise_alert
from central.checkins.models import Alert, Run


class HeldRun(NamedTuple):
    """What is known of one run: its place among the device's runs, the end of the run before, the last event held."""

    ord: int
    run: str
    prev_n: int
    upto: int


class Gap(NamedTuple):
    """Runs `first` to `last` (places) before `before` miss events: of `last` those after `upto`, up to `end`.

    Of runs before `last` nothing is held, and nobody knows how many events they had.
    """

    first: int
    last: int
    upto: int
    end: int
    before: str

    def words(self) -> str:
        """Return the finding for staff."""
        tail = f"events {self.upto + 1} to {self.end} of run number {self.last}"
        more = "" if self.first == self.last else f" and whatever runs {self.first} to {self.last - 1} had"
        return f"{tail}{more} are held by nobody: central was restored from a backup, the device deleted them"


def gaps(held: Iterable[HeldRun]) -> list[Gap]:
    """Return the holes between the runs of one device, oldest first.

    Where two runs stand in one place, as a copied card makes them, the longer one counts.
    """
    found: list[Gap] = []
    reached: dict[int, int] = {}
    newest = 0
    for run in sorted(held):
        last, upto = run.ord - 1, reached.get(run.ord - 1, 0)
        if run.prev_n > upto:
            first = last if last in reached else min(newest + 1, last)
            found.append(Gap(first, last, upto, run.prev_n, run.run))
        reached[run.ord] = max(reached.get(run.ord, 0), run.upto)
        newest = run.ord
    return found


def report_gaps(device_id: UUID) -> None:
    """Raise an alert for each hole in the record of a device that has nothing more to send; once for each."""
    columns = Run.objects.filter(device_id=device_id).values_list("ord", "run", "prev_n", "upto")
    for gap in gaps(HeldRun(*row) for row in columns):
        raise_alert(device_id, Alert.Kind.LOST_RANGE, f"{gap.before}/before/{gap.end}", gap.words())
