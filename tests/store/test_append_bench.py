"""The bench of the journal says what it promises to say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.service, pytest.mark.slow]


def test_quick_run_prints_a_table_and_a_line_for_each_target(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "bench.journal_append", "--quick", "--folder", str(tmp_path)],
        capture_output=True, text=True, timeout=50, check=True,
    ).stdout  # fmt: skip
    assert said.startswith("calibration: ")
    names = re.findall(r"^target (\S+) [\d.]+ [\d.]+ (?:ok|short)$", said, re.MULTILINE)
    assert names[:4] == [
        "append_alone_p50_per_bare_commit_ratio",
        "append_alone_per_sqlite_utils_ratio",
        "append_8_writers_per_raw_ratio",
        "append_8_writers_per_persist_queue_ratio",
    ]
    assert "for each event" in said or "not run (" in said
