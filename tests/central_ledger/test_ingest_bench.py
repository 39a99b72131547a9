"""The bench of ingest prints what it promises; a quick run judges nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.postgres import need_postgres

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(150)]

ROOT = Path(__file__).parents[2]


def test_a_quick_run_prints_a_line_for_each_target() -> None:
    need_postgres()
    command = [sys.executable, "-m", "bench.ingest", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=140, check=False)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^target (\S+) [\d.]+ [\d.]+ (?:ok|short)$", done.stdout, re.MULTILINE)
    kinds = [f"ingest_{database}_{what}_ratio" for database in ("sqlite", "postgresql") for what in ("insert", "whole")]
    assert found == kinds
