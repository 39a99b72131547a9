"""Central's tests once more, on a real PostgreSQL: the same promises, another database."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.postgres import running_postgres

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(240)]

HERE = Path(__file__).parent
LEDGER = [
    HERE / name
    for name in (
        "test_ingest.py", "test_bad_events.py", "test_order.py", "test_runs.py", "test_letters.py",
        "test_directory.py", "test_stats.py", "test_views.py", "test_concurrency.py",
    )
]  # fmt: skip
OFFICE = [HERE.parent / name for name in ("central_office", "central_api", "central_review", "central_presence")]


@pytest.mark.parametrize("same", [LEDGER, OFFICE], ids=["ledger", "office"])
def test_central_keeps_its_promises_on_postgresql(tmp_path: Path, same: list[Path]) -> None:
    with running_postgres() as url:
        environment = {**os.environ, "DOORSTILE_DATABASE_URL": url, "DOORSTILE_DATA": str(tmp_path)}
        command = [sys.executable, "-m", "pytest", "-x", "--no-header", *map(str, same)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=220, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
