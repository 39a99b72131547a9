"""The coverage gate: how much of each module the suite must run, lines and branches together.

Reads coverage.py's JSON report. The pure core, the wire and both sessions are held module by module, everything else
package by package; `tests/coverage_gaps.toml` lists the modules that may stay below and says why. Prints what is short.
"""

import json
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

STRICT_PERCENT: Final = 98.0
NORMAL_PERCENT: Final = 90.0
STRICT_PREFIXES: Final = ("agent/core/", "rules/", "wire/", "agent/sync/session", "central/sync/session")
GAPS: Final = Path("tests/coverage_gaps.toml")


@dataclass(slots=True)
class Tally:
    """What ran of what could run; `missing` names the modules' lines that never did."""

    ran: int = 0
    total: int = 0
    missing: list[str] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """Share that ran; an empty module is complete."""
        return 100.0 * self.ran / self.total if self.total else 100.0

    def add(self, path: str, report: dict[str, Any]) -> None:
        """Count a module of the report in."""
        summary = report["summary"]
        self.ran += summary["covered_lines"] + summary.get("covered_branches", 0)
        self.total += summary["num_statements"] + summary.get("num_branches", 0)
        lines = [str(line) for line in report["missing_lines"]]
        lines += [f"{start}->{'exit' if end < 0 else end}" for start, end in report.get("missing_branches", [])]
        if lines:
            self.missing.append(f"{path}: {', '.join(lines[:12])}{' ...' if len(lines) > 12 else ''}")


@dataclass(frozen=True, slots=True)
class Short:
    """A module or package below its limit."""

    name: str
    percent: float
    limit: float
    missing: tuple[str, ...]


def unit_of(path: str) -> tuple[str, float]:
    """Return what a module is judged as, itself or its package, and the percentage asked for."""
    if path.startswith(STRICT_PREFIXES):
        return path, STRICT_PERCENT
    return "/".join(path.split("/")[:-1][:2]) + "/", NORMAL_PERCENT


def find_short(files: dict[str, Any], gaps: dict[str, float]) -> list[Short]:
    """Return the units below their limit, worst first; a gap sets a module apart with a limit of its own."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    limits: dict[str, float] = {}
    for path, report in files.items():
        name, limit = (path, gaps[path]) if path in gaps else unit_of(path)
        tallies[name].add(path, report)
        limits[name] = limit
    short = [
        Short(name, tally.percent, limits[name], tuple(tally.missing))
        for name, tally in tallies.items()
        if tally.percent < limits[name]
    ]
    return sorted(short, key=lambda unit: unit.percent - unit.limit)


def read_gaps(text: str, known: Iterable[str]) -> dict[str, float]:
    """Return the justified limits by module; raise ValueError for one without a reason or for a module that is gone."""
    present = set(known)
    gaps: dict[str, float] = {}
    for gap in tomllib.loads(text).get("gap", []):
        module = gap["module"]
        if not gap.get("why", "").strip():
            raise ValueError(f"{GAPS}: {module} has no `why`; say why its gap cannot be tested")
        if module not in present:
            raise ValueError(f"{GAPS}: {module} is not in the report; remove its entry")
        gaps[module] = float(gap["limit"])
    return gaps


def main(report: Path) -> int:
    """Print what is short; return 1 if anything is."""
    files = json.loads(report.read_text())["files"]
    short = find_short(files, read_gaps(GAPS.read_text(), files))
    for unit in short:
        print(f"coverage: {unit.name:40} {unit.percent:6.1f} %  of {unit.limit:.0f} % asked")
        for line in unit.missing:
            print(f"    {line}")
    if not short:
        print(f"coverage: ok, {len(files)} modules")
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
