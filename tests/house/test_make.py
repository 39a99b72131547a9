"""What the documents tell people to type exists, and their links lead somewhere."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = [
    *("help", "demo", "test", "check", "bench", "docs"),
    *("simulate", "crash", "faults", "device-test", "package", "clean"),
]
PLANNED = TARGETS[10:11]
PAGES = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "_build" not in path.parts]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *PAGES]
SCRIPTS = [*sorted((ROOT / "tools").glob("*.sh")), ROOT / ".ci" / "run"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=30)


def test_make_alone_lists_exactly_the_targets() -> None:
    listed = [line.split()[1] for line in run("make").stdout.splitlines()]
    assert listed == TARGETS


@pytest.mark.parametrize("target", PLANNED)
def test_a_target_that_is_not_filled_yet_says_so_and_fails(target: str) -> None:
    done = run("make", target)
    assert done.returncode == 2
    assert f"make {target} is not filled yet: nothing was run" in done.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_command_in_a_document_exists(path: Path) -> None:
    named = re.findall(r"(?:^\$ |`)make ([a-z-]+)", path.read_text(), flags=re.MULTILINE)
    assert set(named) <= set(TARGETS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_the_readme_names_the_commands_of_the_gate() -> None:
    gate = (ROOT / ".ci" / "run").read_text()
    readme = (ROOT / "README.md").read_text()
    for command in ("make check", "make test"):
        assert command in gate
        assert command in readme


@pytest.mark.parametrize(
    "script", sorted([*(ROOT / "tools").glob("*.sh"), ROOT / ".ci" / "run"]), ids=lambda path: path.name
)
def test_every_script_can_be_parsed_and_run(script: Path) -> None:
    assert run("bash", "-n", str(script)).returncode == 0
    assert script.stat().st_mode & 0o111
