"""The file of an import as lines of named cells; knows no database and no meaning of a cell.

The text is CSV (RFC 4180), UTF-8 with or without a byte order mark, with a comma, a semicolon or a tab between cells,
whichever the header uses: spreadsheets write semicolons where the comma is a decimal sign.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Final

MAX_BYTES: Final = 32 * 1024 * 1024
MAX_LINES: Final = 250_000
MAX_CELL_CHARS: Final = 3000
"""A little more than the text of the largest QR code."""
_DELIMITERS: Final = (",", ";", "\t")
_SHOWN_CHARS: Final = 40


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one cell, and what would do. `line` counts from 1, the header included; 0 is the file."""

    line: int
    column: str
    value: str
    detail: str

    def __str__(self) -> str:
        place = [f"line {self.line}"] if self.line else []
        place += [f"column {self.column}"] if self.column else []
        place += [ascii(shortened(self.value))] if self.value else []
        return f"{', '.join(place)}: {self.detail}" if place else self.detail


@dataclass(frozen=True, slots=True)
class Line:
    """One line with something in it: its cells by column, without space around them; empty ones are left out."""

    number: int
    cells: dict[str, str]


class SheetError(Exception):
    """A file that cannot be read as a table; `fault` says where and why."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def shortened(text: str) -> str:
    """Return the beginning of a text, marked where more follows."""
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"


def read_sheet(data: bytes, columns: tuple[str, ...], required: tuple[str, ...]) -> tuple[list[Line], list[Fault]]:
    """Return the lines, and the faults of those that are not among them.

    `columns` may stand in the header, `required` must. Raises SheetError where there is no table to read.
    """
    text = _text(data)
    delimiter = _delimiter(text)
    lines: list[Line] = []
    faults: list[Fault] = []
    header: list[str] | None = None
    for number, cells in _records(text, delimiter):
        if not any(cells):
            continue
        if header is None:
            header = _header(number, cells, columns, required)
            continue
        found = _line_faults(number, header, cells)
        faults += found
        if not found:
            lines.append(Line(number, {name: cell for name, cell in zip(header, cells, strict=False) if cell}))
    if header is None:
        raise SheetError(Fault(0, "", "", f"the file is empty; its first line names the columns: {', '.join(columns)}"))
    return lines, faults


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise SheetError(Fault(0, "", "", f"the file has {len(data)} bytes; split it into parts of up to {MAX_BYTES}"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = data.count(b"\n", 0, fault.start) + 1
        detail = f"byte {data[fault.start]:#04x} is not UTF-8; save the file as “CSV UTF-8”"
        raise SheetError(Fault(line, "", "", detail)) from fault


def _delimiter(text: str) -> str:
    first = next((line for line in StringIO(text) if line.strip()), "")
    return max(_DELIMITERS, key=first.count)


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line of each record, and its cells."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    number = 1
    try:
        for cells in reader:
            if number > MAX_LINES:
                raise SheetError(Fault(number, "", "", f"more than {MAX_LINES} lines; split the file"))
            yield number, [cell.strip() for cell in cells]
            number = reader.line_num + 1
    except csv.Error as fault:
        said = str(fault).replace("\t", "tab")
        detail = f"{said}; put a text with a quotation mark between quotation marks and double the one inside"
        raise SheetError(Fault(number, "", "", detail)) from fault


def _header(number: int, cells: list[str], columns: tuple[str, ...], required: tuple[str, ...]) -> list[str]:
    header = [cell.lower() for cell in cells]
    while header and not header[-1]:
        header.pop()
    for name in header:
        if name not in columns:
            raise SheetError(Fault(number, "", name, f"no such column; known are {', '.join(columns)}"))
        if header.count(name) > 1:
            raise SheetError(Fault(number, name, "", "the column is there twice; leave one"))
    for name in required:
        if name not in header:
            raise SheetError(Fault(number, name, "", "the column is missing; add it to the first line"))
    return header


def _line_faults(number: int, header: list[str], cells: list[str]) -> list[Fault]:
    if any(cells[len(header) :]):
        detail = f"{len(cells)} cells under {len(header)} columns; quote a cell that holds the delimiter"
        return [Fault(number, "", "", detail)]
    found = [(name, cell, _cell_fault(cell)) for name, cell in zip(header, cells, strict=False)]
    return [Fault(number, name, cell, wrong) for name, cell, wrong in found if wrong is not None]


def _cell_fault(cell: str) -> str | None:
    if len(cell) > MAX_CELL_CHARS:
        return f"{len(cell)} characters; at most {MAX_CELL_CHARS} are possible"
    if not cell.isprintable():
        return "holds characters that do not print, such as a line break; remove them"
    return None
