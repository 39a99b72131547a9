"""`manage.py review_decisions`: make every decision again that was not yet, and say what came of it."""

from typing import Any

from django.core.management.base import BaseCommand

from central.review.reviewing import Tally, review_some


class Command(BaseCommand):
    """Goes on where it, or the server, stopped."""

    help = "Make decisions again from their receipts, as the server does by and by; differences become alerts."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Make them and print the counts."""
        total = Tally()
        while (some := review_some()).total:
            total.add(some)
        others = ", ".join(f"{count} {why}" for why, count in sorted(total.not_reviewed.items()))
        self.stdout.write(
            f"{total.agreed} agreed ({total.other_facts} of them from other facts), {total.differed} differed"
        )
        if others:
            self.stdout.write(f"not made again: {others}")
