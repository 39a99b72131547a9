"""Django's command line: `python -m central.manage COMMAND`."""

import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from django.core.management import execute_from_command_line
from django.db.utils import OperationalError, ProgrammingError

_MAKING: Final = {"migrate", "runserver", "test", "testserver"}
_TELLING: Final = {"help", "version", "check", "makemigrations", "diffsettings", "findstatic"}
_SCHEMA_IS_MISSING: Final = ("no such table", "does not exist")


def main() -> None:
    """Run the management command that the arguments name; without a central, make none by accident."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central.config.settings")
    os.umask(0o077)
    words = sys.argv[1:]
    folder = Path(os.environ.get("DOORSTILE_DATA", "").strip() or "var/central")
    if not _MAKING.isdisjoint(words[:1]) or _is_central(folder):
        _run(folder)
    elif _only_tells(words):
        with tempfile.TemporaryDirectory() as empty:
            os.environ["DOORSTILE_DATA"] = empty
            _run(folder)
    else:
        _refuse(folder)


def _is_central(folder: Path) -> bool:
    return bool(os.environ.get("DOORSTILE_DATABASE_URL")) or (folder / "central.sqlite3").exists()


def _only_tells(words: list[str]) -> bool:
    return not words or words[0] in _TELLING or not {"-h", "--help", "--version"}.isdisjoint(words)


def _run(folder: Path) -> None:
    try:
        execute_from_command_line(sys.argv)
    except (OperationalError, ProgrammingError) as fault:
        if not any(said in str(fault) for said in _SCHEMA_IS_MISSING):
            raise
        _refuse(folder)


def _refuse(folder: Path) -> None:
    where = "DOORSTILE_DATABASE_URL" if os.environ.get("DOORSTILE_DATABASE_URL") else str(folder)
    sys.exit(f"no central in {where}; set DOORSTILE_DATA to its folder, or start one: doorstile central")


if __name__ == "__main__":
    main()
