"""`manage.py import_members FILE`: members and credentials from a CSV file, as a whole or not at all."""

import sys
from pathlib import Path
from textwrap import fill
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser

from central.directory.importing.running import import_members
from central.directory.importing.wanted import COLUMNS

MOST_SHOWN: Final = 200
_COLUMNS: Final = 80


class Command(BaseCommand):
    """Checks every line, then applies all of them in one transaction; run again it changes nothing."""

    help = (
        "Import members and credentials from a CSV file (UTF-8). Every line is checked first; where one is wrong, "
        f"nothing is applied. Columns: {', '.join(COLUMNS)}."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the file and the dry run."""
        parser.add_argument("file", help="the CSV file; - reads standard input")
        parser.add_argument("--dry-run", action="store_true", help="check everything and change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Import and print what was done; exit 1 with every fault where there is one."""
        report = import_members(_read(options["file"]), is_dry_run=options["dry_run"])
        if report.faults:
            for fault in report.faults[:MOST_SHOWN]:
                self.stderr.write(_wrapped(str(fault)))
            more = len(report.faults) - MOST_SHOWN
            rest = f" ({more} more are not shown)" if more > 0 else ""
            raise CommandError(f"{_counted(len(report.faults))}{rest}; nothing was applied")
        lines, members, credentials = report.count_lines
        self.stdout.write(f"{'applied' if report.is_applied else 'dry run, nothing was changed'}: {lines}")
        for line in (members, credentials):
            self.stdout.write(f"  {line}")
        for line in report.altered[:MOST_SHOWN]:
            self.stdout.write(_wrapped(f"  changed {line}"))
        if len(report.altered) > MOST_SHOWN:
            self.stdout.write(f"  and {len(report.altered) - MOST_SHOWN} more that are changed")


def _counted(faults: int) -> str:
    return "1 fault" if faults == 1 else f"{faults} faults"


def _wrapped(line: str) -> str:
    return fill(line, _COLUMNS, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _read(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as fault:
        raise CommandError(f"{name}: {fault.strerror}; name a file that can be read") from fault
