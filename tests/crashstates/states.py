"""Which states to build at a crash point: the telling ones first, then as many random ones as wanted."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from zlib import crc32

from tests.crashstates.disk import Cut, Disk, content

Style = tuple[str, int]
"""A kind of state and the operation or the seed that it takes."""

_RANDOM = ("ops", "sectors", "sectors", "torn", "short", "noise", "hollow")


@dataclass(slots=True)
class State:
    """Names and bytes after a power cut."""

    files: dict[str, bytes | bytearray]
    folders: set[str]

    @property
    def key(self) -> int:
        """A fingerprint: equal states are opened once."""
        total = 0
        for path in sorted(self.files):
            total = crc32(self.files[path], crc32(path.encode(), total))
        return hash((total, tuple(sorted((path, len(self.files[path])) for path in self.files))))

    def write(self, folder: Path) -> None:
        """Make the files; the folder must be empty."""
        for path in sorted(self.folders):
            (folder / path).mkdir(parents=True, exist_ok=True)
        for path, held in self.files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                if held.count(0) < len(held):
                    file.write(held)
                else:
                    file.truncate(len(held))


def telling(pending: list[int]) -> Iterator[Style]:
    """Yield the styles of each crash point: all or nothing, each prefix, each operation alone or left out."""
    yield "none", 0
    if not pending:
        return
    yield "all", 0
    yield "names", 0
    yield "data", 0
    for number in pending[:-1]:
        yield "prefix", number
    if len(pending) > 1:
        for number in pending:
            yield "without", number
            yield "only", number


def sampled(seed: int) -> Iterator[Style]:
    """Yield random styles without end."""
    chance = random.Random(seed)
    while True:
        yield chance.choice(_RANDOM), chance.getrandbits(40)


def build(disk: Disk, style: Style) -> State:
    """Build one state at the disk's present crash point."""
    kind, value = style
    chosen, cut = _choice(disk, kind, value)
    names, folders = disk.names_after(lambda number: chosen(number, 0))
    noise = random.Random(value)
    fill: Callable[[int], bytes] = noise.randbytes if kind == "noise" else bytes
    files = {path: bytes(content(disk.files[inode], cut, chosen, fill)) for path, inode in names.items()
             if inode in disk.files}  # fmt: skip
    files |= {path: b"" for path, inode in names.items() if inode not in disk.files}
    return State(dict(files), folders)


def _choice(disk: Disk, kind: str, value: int) -> tuple[Callable[[int, int], bool], Cut]:
    """Return which sectors of which operations survive, and how the cut is unkind."""
    is_name = {number for number, _ in disk.pending_names}
    fixed: dict[str, Callable[[int, int], bool]] = {
        "none": lambda *_: False,
        "all": lambda *_: True,
        "names": lambda number, _: number in is_name,
        "data": lambda number, _: number not in is_name,
        "prefix": lambda number, _: number <= value,
        "without": lambda number, _: number != value,
        "only": lambda number, _: number == value,
    }
    if kind in fixed:
        return fixed[kind], Cut()
    return _random_choice(disk, kind, value)


def _random_choice(disk: Disk, kind: str, value: int) -> tuple[Callable[[int, int], bool], Cut]:
    chance = random.Random(value)
    share = chance.choice((0.15, 0.5, 0.5, 0.85))

    @cache
    def sector(number: int, index: int) -> bool:
        return chance.random() < share

    @cache
    def whole(number: int) -> bool:
        return chance.random() < share

    pending = disk.pending()
    at = chance.choice(pending) if pending else -1
    if kind == "torn":
        return lambda number, index: number < at or (number == at and sector(number, index)), Cut()
    if kind == "short":
        return lambda number, _: number <= at, Cut(at, chance.randrange(1, 2100))
    if kind == "ops":
        return lambda number, _: whole(number), Cut()
    return sector, Cut(has_full_size=kind != "sectors" or chance.random() < 0.3)
