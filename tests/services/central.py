"""A real central in a process of its own, as `doorstile central` starts it."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STOP_WITHIN_S = 15.0


@dataclass(frozen=True)
class RunningCentral:
    """Where it listens, its data folder, and the environment of its commands."""

    url: str
    data: Path
    environment: dict[str, str]
    process: "subprocess.Popen[str]"

    @property
    def link_url(self) -> str:
        """Where devices connect."""
        return self.url.replace("http", "ws", 1) + "/ws/devices/"

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self.data / "log").read_text(encoding="utf-8")

    def manage(self, *arguments: str) -> str:
        """Run a management command against the same database; return what it printed."""
        command = [sys.executable, "-m", "central.manage", *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def enrolment_code(self, door: str = "North door", site: str = "Harbour gym") -> str:
        """Return a new code for a door, which is created where it is missing."""
        printed = self.manage("enrolment_code", "--create", "--site", site, "--door", door, "--json")
        code: str = json.loads(printed)["code"]
        return code

    def post(self, path: str, body: bytes) -> Any:
        """Return the JSON that a page answers with; raise HTTPError for a refusal."""
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def stop(self) -> int:
        """Ask it to end; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_WITHIN_S)


@contextmanager
def running_central(
    data: Path, environment: Mapping[str, str] | None = None, *, port: int = 0
) -> Iterator[RunningCentral]:
    """Start central on `data`; yield it once it listens, end it afterwards if the test has not."""
    data.mkdir(parents=True, exist_ok=True)
    settings = {**os.environ, "DOORSTILE_DATA": str(data), **(environment or {})}
    command = [sys.executable, "-m", "central.embedded", "--port", str(port), "--data", str(data)]
    with (data / "log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=settings, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("central: "), (data / "log").read_text(encoding="utf-8")
        yield RunningCentral(said.split()[1].rstrip("/"), data, settings, process)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(_STOP_WITHIN_S)
        process.stdout.close()
