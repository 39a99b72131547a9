"""How central starts, and what it says to an operator where it cannot."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.central import running_central

pytestmark = pytest.mark.service


def start(module: str, *words: str, cwd: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOORSTILE_", "DJANGO_"))}
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=cwd, env={**kept, "PYTHONPATH": root, **variables}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_wrong_setting_ends_the_start_in_one_line(tmp_path: Path) -> None:
    done = start("central.embedded", "--port", "0", cwd=tmp_path, DOORSTILE_TLS="maybe")
    assert (done.returncode, done.stderr) == (1, "Error: DOORSTILE_TLS is 'maybe'; set it to 0 or 1\n")


def test_data_folder_that_cannot_be_made_ends_the_start_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = start("central.embedded", "--port", "0", "--data", "file/data", cwd=tmp_path)
    said = (
        "Error: data folder file/data cannot be used (Not a directory); check its rights, or give another with --data\n"
    )
    assert (done.returncode, done.stderr) == (1, said)


def test_taken_port_ends_the_start_in_one_line_and_makes_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = start("central.embedded", "--port", str(port), cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert f"cannot listen on 127.0.0.1 port {port} (Address already in use)" in done.stderr
    assert "--port" in done.stderr
    assert not list(tmp_path.iterdir())


def test_what_central_keeps_is_readable_by_its_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with running_central(tmp_path / "log", {}) as central:
        assert central.url
        kept = [path for path in central.data.iterdir() if path.name != "log"]
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    done = start("central.manage", "migrate", "--verbosity", "0", cwd=tmp_path, DOORSTILE_DATA=str(folder))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "central.sqlite3").stat().st_mode) == 0o600


@pytest.mark.parametrize("words", [("createsuperuser",), ("enrolment_code", "--site", "S", "--door", "D")])
def test_command_without_a_central_says_so_and_makes_none(words: tuple[str, ...], tmp_path: Path) -> None:
    done = start("central.manage", *words, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        "no central in var/central; set DOORSTILE_DATA to its folder, or start one: doorstile central\n",
    )
    assert not list(tmp_path.iterdir())


def test_command_on_a_database_without_tables_says_so(tmp_path: Path) -> None:
    (tmp_path / "central.sqlite3").touch()
    words = ("enrolment_code", "--site", "S", "--door", "D")
    done = start("central.manage", *words, cwd=tmp_path, DOORSTILE_DATA=str(tmp_path))
    assert (done.returncode, done.stderr) == (
        1,
        f"no central in {tmp_path}; set DOORSTILE_DATA to its folder, or start one: doorstile central\n",
    )


def test_help_of_a_command_makes_no_central(tmp_path: Path) -> None:
    done = start("central.manage", "enrolment_code", "--help", cwd=tmp_path)
    assert (done.returncode, "--create" in done.stdout) == (0, True), done.stderr
    assert not list(tmp_path.iterdir())
