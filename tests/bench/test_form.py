"""Each bench prints what it promises to print; a quick run judges nothing."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(150)]

ROOT = Path(__file__).parents[2]
TARGETS = {
    "read_to_relay": ["read_to_relay_p50_per_floor_ratio"],
    "startup": [
        "startup_imports_ms",
        "startup_first_decision_s",
        "startup_rss_mib",
        "startup_rss_many_members_mib",
        "startup_rss_many_events_mib",
    ],
    "directory": [
        "directory_first_sync_s",
        "directory_delta_s",
        "directory_lookup_p99_ms",
        "directory_rss_mib",
    ],
    "link": ["link_connected_ms", "link_reconnected_ms", "link_on_page_ms"],
    "fleet": ["fleet_idle_device_kib", "fleet_fan_out_cpu_us", "fleet_messages_per_batch"],
}


@pytest.fixture
def short_path() -> Iterator[str]:
    """Give a folder whose path leaves room for a socket's name (unix(7): 108 bytes)."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        yield folder


@pytest.mark.parametrize("name", TARGETS)
def test_a_quick_run_prints_a_line_for_each_target(name: str, short_path: str) -> None:
    command = [sys.executable, "-m", f"bench.{name}", "--quick", "--folder", short_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=140, check=False)
    assert done.returncode == 0, done.stderr
    found = re.findall(r"^target (\S+) -?[\d.]+ [\d.]+ (?:ok|short)$", done.stdout, re.MULTILINE)
    assert found == [target for target in TARGETS[name] if target != "link_on_page_ms" or "not run" not in done.stdout]


def test_every_script_takes_its_options_and_its_form_from_one_place() -> None:
    texts = {path.stem: path.read_text() for path in (ROOT / "bench").glob("*.py")}
    benches = {name for name, text in texts.items() if "__main__" in text and "read_options" in text}
    assert benches >= set(TARGETS) | {"journal_append", "replay"}
    assert {name for name in benches if "conclude(" not in texts[name]} == set()
