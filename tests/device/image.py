"""The guest's disk, made once and kept: a Debian with what a door needs, then the same booted, with our wheel in it.

Both live outside the checkout, in `$DOORSTILE_DEVICE_CACHE` or `~/.cache/doorstile-device`, under a digest of all that
went into them; a change of any input makes a new one and drops the old.
"""

import asyncio
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from time import monotonic
from typing import Any, Final

import click
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.device.guest import Guest
from tests.device.qemu import SNAPSHOT, Machine, Plan, new_disk
from tests.processes.lab import NotRunError

ROOT: Final = Path(__file__).parents[2]
EXTRAS: Final = ("gpio", "pcsc", "hid")
_HERE: Final = Path(__file__).parent
_SOURCE_ONLY: Final = ("pyscard", "evdev")
"""Not on PyPI as wheels: built inside the guest's tree."""
_BUILD_TOOLS: Final = ("setuptools", "wheel", "swig")
_GUEST_PYTHON: Final = ("--python-version", "3.11", "--implementation", "cp")
_GUEST_PLATFORMS: Final = ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux2014_x86_64")
_TOOLS: Final = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "mmdebstrap": "mmdebstrap"}
_PIP: Final = (
    "/opt/doorstile/bin/pip --quiet --disable-pip-version-check install --no-index --no-deps --force-reinstall"
)
_WARM_UP: Final = "/opt/doorstile/bin/python -c 'import agent.app, hardware.outputs.gpio, hardware.readers.pcsc'"


@dataclass(frozen=True, slots=True)
class Ready:
    """A kernel and a disk whose snapshot is a booted guest with the agent installed, not yet configured or started."""

    kernel: Path
    initrd: Path
    disk: Path

    def copied_to(self, folder: Path) -> Plan:
        """Return the plan of a machine that wakes up where the snapshot was taken."""
        folder.mkdir(parents=True, exist_ok=True)
        disk = folder / "disk.qcow2"
        shutil.copyfile(self.disk, disk)
        return Plan(folder, self.kernel, self.initrd, disk, snapshot=SNAPSHOT)


def cache_folder() -> Path:
    """Return where images are kept."""
    named = os.environ.get("DOORSTILE_DEVICE_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else base / "doorstile-device"


@contextmanager
def only_one(cache: Path) -> Iterator[None]:
    """Let nobody else use the cache or run guests meanwhile: an emulated machine needs every processor there is."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            click.echo("another run has the guest; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def ensure(cache: Path) -> Ready:
    """Return the booted guest, building what is missing; raise NotRunError where it cannot be built here."""
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if missing:
        raise NotRunError(f"needs Debian packages: apt-get install --no-install-recommends {' '.join(missing)}")
    image = cache / f"image-{image_key()}"
    if not (image / "root.raw").exists():
        with _step("building the guest's image (some minutes: mmdebstrap, gpio-sim, the agent's dependencies)"):
            await asyncio.to_thread(_build_image, image)
    booted = Ready(image / "vmlinuz", image / "initrd", cache / f"booted-{booted_key()}.qcow2")
    if not booted.disk.exists():
        with _step("booting the guest for a snapshot"):
            await _boot(image, booted.disk)
    ready = replace(booted, disk=cache / f"ready-{ready_key()}.qcow2")
    if not ready.disk.exists():
        with _step("installing our wheel in the guest"):
            await _install(booted, ready.disk)
    _drop_all_but(cache, image, booted.disk, ready.disk)
    return ready


def image_key() -> str:
    """Return the digest of what the image is made of."""
    parts = [path.read_bytes() for path in _files(_HERE / "image")]
    return _digest([*parts, "\n".join([*requirements(), *pins()]).encode()])


def booted_key() -> str:
    """Return the digest of what the first snapshot is made of."""
    return _digest([image_key().encode(), *(path.read_bytes() for path in (_HERE / "bench.py", _HERE / "qemu.py"))])


def ready_key() -> str:
    """Return the digest of what the second snapshot is made of: the first, the sources of our wheel, the unit."""
    sources = [path for package in _packages() for path in _files(ROOT / package)]
    files = [*sources, *_files(ROOT / "systemd"), ROOT / "pyproject.toml", Path(__file__)]
    named = [str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() for path in files]
    return _digest([booted_key().encode(), *named])


def requirements() -> list[str]:
    """Return what the agent needs on a device, as pyproject.toml states it."""
    project = _pyproject()["project"]
    return [*project["dependencies"], *(need for extra in EXTRAS for need in project["optional-dependencies"][extra])]


def pins() -> list[str]:
    """Return those lines of constraints.txt that bear upon the agent's requirements, and theirs."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned: dict[str, str] = {canonicalize_name(line.partition("==")[0]): line for line in lines if "==" in line}
    waiting, needed = [Requirement(need) for need in requirements()], set[str]()
    while waiting:
        need = waiting.pop()
        name = canonicalize_name(need.name)
        if name not in needed:
            needed.add(name)
            waiting += _needs_of(need)
    return sorted(pinned[name] for name in needed & pinned.keys())


def _needs_of(need: Requirement) -> list[Requirement]:
    """Return what a requirement brings along, as far as it is installed here."""
    try:
        stated = [Requirement(text) for text in requires(need.name) or ()]
    except PackageNotFoundError:
        return []
    extras = [{"extra": extra} for extra in (*need.extras, "")]
    return [each for each in stated if each.marker is None or any(map(each.marker.evaluate, extras))]


def _packages() -> list[str]:
    patterns = _pyproject()["tool"]["setuptools"]["packages"]["find"]["include"]
    return sorted(path.name for pattern in patterns for path in ROOT.glob(pattern) if (path / "__init__.py").exists())


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _digest(parts: Iterable[bytes]) -> str:
    found = sha256()
    for part in parts:
        found.update(sha256(part).digest())
    return found.hexdigest()[:16]


def _build_image(image: Path) -> None:
    shutil.rmtree(image, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="doorstile-wheels-") as folder:
        wheels = Path(folder)
        (wheels / "requirements.txt").write_text("\n".join(requirements()) + "\n", encoding="utf-8")
        _download(wheels)
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        _run([*as_root, str(_HERE / "image" / "build.sh"), str(wheels), str(image)], image.parent / "build.log")


def _download(wheels: Path) -> None:
    """Fetch what pip will want inside, where it has no network."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--dest", str(wheels)]
    pip += ["--constraint", str(ROOT / "constraints.txt")]
    platforms = [word for platform in _GUEST_PLATFORMS for word in ("--platform", platform)]
    binary = [need for need in requirements() if not need.startswith(_SOURCE_ONLY)]
    source = [need for need in requirements() if need.startswith(_SOURCE_ONLY)]
    log = wheels / "pip.log"
    _run([*pip, "--only-binary=:all:", *_GUEST_PYTHON, *platforms, *binary, *_BUILD_TOOLS], log)
    _run([*pip, "--no-deps", f"--no-binary={','.join(_SOURCE_ONLY)}", *source], log)


async def _boot(image: Path, snapshot: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=snapshot.parent) as folder:
        disk = Path(folder) / "disk.qcow2"
        new_disk(disk, image / "root.raw")
        async with _worked_on(Plan(Path(folder), image / "vmlinuz", image / "initrd", disk)) as guest:
            await guest.booted()
            await guest.renew_bench((_HERE / "bench.py").read_bytes())
            await guest.until("systemctl is-system-running --wait", within_s=240)
        disk.rename(snapshot)


async def _install(booted: Ready, snapshot: Path) -> None:
    """What a package's scripts would do on a device: the wheel, its user, its unit."""
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=snapshot.parent) as folder:
        wheel, content = await asyncio.to_thread(_built_wheel, Path(folder))
        plan = booted.copied_to(Path(folder))
        async with _worked_on(plan) as guest:
            await guest.put(f"/tmp/{wheel}", content)
            await guest.sh(f"{_PIP} /tmp/{wheel} && rm /tmp/{wheel}", within_s=240)
            await guest.put("/usr/lib/sysusers.d/doorstile.conf", (ROOT / "systemd/doorstile.sysusers").read_bytes())
            for unit in sorted((ROOT / "systemd").glob("*.service")):
                await guest.put(f"/usr/lib/systemd/system/{unit.name}", unit.read_bytes())
            await guest.sh("systemd-sysusers && systemctl daemon-reload && systemctl start pcscd.socket")
            await guest.sh(f"{_WARM_UP}; sync", within_s=120)
        plan.disk.rename(snapshot)


@asynccontextmanager
async def _worked_on(plan: Plan) -> AsyncIterator[Guest]:
    """Start a machine, and take its snapshot once the block is through."""
    async with asyncio.TaskGroup() as tasks:
        guest = await Guest.of(await Machine.start(plan), tasks)
        try:
            yield guest
            await guest.machine.monitor.do_by_hand(f"savevm {SNAPSHOT}")
        finally:
            await guest.close()


def _built_wheel(folder: Path) -> tuple[str, bytes]:
    """Return our wheel, made by way of the source distribution so that nothing left over in build/ gets into it."""
    _run([sys.executable, "-m", "build", "--outdir", str(folder), str(ROOT)], folder / "wheel.log")
    (wheel,) = folder.glob("*.whl")
    return wheel.name, wheel.read_bytes()


def _run(command: list[str], log: Path) -> None:
    with log.open("ab") as out:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False).returncode
    if code:
        said = log.read_text(errors="replace").strip()[-1500:]
        raise NotRunError(f"{Path(command[0]).name} {' '.join(command[1:4])} ended with {code}:\n{said}")


def _drop_all_but(cache: Path, *kept: Path) -> None:
    for path in cache.iterdir():
        if path in kept or not path.name.startswith(("image-", "booted-", "ready-")):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def _step(words: str) -> Iterator[None]:
    click.echo(f"device: {words}")
    began = monotonic()
    yield
    click.echo(f"device: done after {monotonic() - began:.0f} s")
