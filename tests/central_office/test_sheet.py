"""A file as lines of cells: what can be read, and what is refused by line, column, value and remedy."""

import pytest

from central.directory.importing import sheet
from central.directory.importing.sheet import Fault, Line, SheetError, read_sheet

pytestmark = pytest.mark.unit

COLUMNS = ("id", "name", "card")


def read(text: str | bytes) -> tuple[list[Line], list[Fault]]:
    return read_sheet(text if isinstance(text, bytes) else text.encode(), COLUMNS, ("id",))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_come_by_column_whatever_the_delimiter(delimiter: str) -> None:
    text = f"ID{delimiter}name\r\n 7 {delimiter}Ann\r\n"
    assert read(text) == ([Line(2, {"id": "7", "name": "Ann"})], [])


def test_byte_order_mark_empty_lines_and_empty_cells_are_passed_over() -> None:
    text = "\ufeffid,name,card,\n\n,,\n7,,04A1\n"
    assert read(text) == ([Line(4, {"id": "7", "card": "04A1"})], [])


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    lines, faults = read('id,name\n7,"Ann\nSecond"\n8,Bob\n')
    assert lines == [Line(4, {"id": "8", "name": "Bob"})]
    assert [str(fault) for fault in faults] == [
        "line 2, column name, 'Ann\\nSecond': holds characters that do not print, such as a line break; remove them"
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "the file is empty; its first line names the columns: id, name, card"),
        (b"id,name\n7,J\xf6rg\n", "line 2: byte 0xf6 is not UTF-8; save the file as “CSV UTF-8”"),
        (b"id,phone\n", "line 1, 'phone': no such column; known are id, name, card"),
        (b"id,name,id\n", "line 1, column id: the column is there twice; leave one"),
        (b"name\n", "line 1, column id: the column is missing; add it to the first line"),
        (b'id,name\n7,"Ann"x\n', "line 2: ',' expected after '\"'; put a text with a quotation mark between"),
        (b'id,name\n7,"Ann\n', "line 2: unexpected end of data; put a text"),
    ],
)
def test_what_is_no_table_is_refused_as_a_whole(text: bytes, says: str) -> None:
    with pytest.raises(SheetError) as refused:
        read(text)
    assert str(refused.value).startswith(says)


def test_cell_too_many_and_cell_too_long_are_faults_of_their_lines() -> None:
    lines, faults = read(f"id,name\n7,Smith, Ann\n8,{'x' * 3001}\n9,Bob\n")
    assert [line.cells["id"] for line in lines] == ["9"]
    assert [str(fault) for fault in faults] == [
        "line 2: 3 cells under 2 columns; quote a cell that holds the delimiter",
        f"line 3, column name, '{'x' * 40}\\u2026': 3001 characters; at most 3000 are possible",
    ]


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "MAX_LINES", 2)
    with pytest.raises(SheetError, match="line 3: more than 2 lines; split the file"):
        read("id\n7\n8\n")
    monkeypatch.setattr(sheet, "MAX_BYTES", 4)
    with pytest.raises(SheetError, match="the file has 5 bytes; split it into parts of up to 4"):
        read("id\n7\n")
