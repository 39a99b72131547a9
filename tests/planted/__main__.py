"""`python -m tests.planted [NAME...]`: plant every bug in turn and show what catches it; 1 where one escapes.

Each is also tried without the bug: a harness that sees violations where there are none proves nothing.
"""

import argparse
import logging
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Final

from tests.planted.registry import PlantedBug, every_bug

_SHOWN_CHARS: Final = 110


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one bug: `seen` is the violation with it, `alarm` one without it, which must not be."""

    bug: PlantedBug
    seen: str | None
    alarm: str | None
    took_s: float

    @property
    def is_caught(self) -> bool:
        """True where the harness saw the bug, and nothing without it."""
        return self.seen is not None and self.alarm is None

    def __str__(self) -> str:
        """Return the row of the table."""
        result = self.seen or f"ESCAPED: {self.bug.breaks}"
        if self.alarm is not None:
            result = f"FALSE ALARM: {self.alarm}"
        harness = self.bug.layer.removeprefix("tests.")
        return f"{self.bug.name:32} {harness:20} {self.took_s:6.1f} s  {result[:_SHOWN_CHARS]}"


def tried(bug: PlantedBug) -> Verdict:
    """Run a bug's harness without it and with it. An exception that the bug brings about counts as seen."""
    begun_s = time.monotonic()
    alarm = bug.catch()
    with bug.plant():
        try:
            seen = bug.catch()
        except Exception as fault:  # supervising: a crash is a violation as good as any
            seen = f"{type(fault).__name__}: {fault}"
    return Verdict(bug, seen, alarm, time.monotonic() - begun_s)


def row(bug: PlantedBug) -> str:
    """Return a bug's row in the documentation."""
    return f"| `{bug.name}` | `{bug.layer}` | {bug.breaks} |"


def prepare() -> None:
    """Set Django up on a database in memory, and be quiet: bugs make the product shout."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central.config.settings")
    os.environ.setdefault("DOORSTILE_DATA", tempfile.mkdtemp(prefix="doorstile-planted-"))
    import django

    django.setup()
    logging.disable(logging.CRITICAL)
    from django.db import connection

    connection.creation.create_test_db(verbosity=0)


def main(arguments: list[str]) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description="Show that the harnesses bite.")
    parser.add_argument("names", nargs="*", help="only these bugs")
    parser.add_argument("--list", action="store_true", help="print the rows of docs/reliability.md, plant nothing")
    options = parser.parse_args(arguments)
    prepare()
    bugs, wanted = every_bug(), options.names
    if options.list:
        print("\n".join(row(bug) for bug in bugs.values()))
        return 0
    unknown = set(wanted) - bugs.keys()
    if unknown:
        parser.error(f"no planted bug {min(unknown)!r}; there are {', '.join(bugs)}")
    print(f"{'planted bug':32} {'caught by':20} {'time':>8}  what was seen")
    verdicts = []
    for name in wanted or bugs:
        verdicts.append(tried(bugs[name]))
        print(verdicts[-1], flush=True)
    caught = sum(verdict.is_caught for verdict in verdicts)
    print(f"{caught} of {len(verdicts)} planted bugs caught")
    return 0 if caught == len(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
