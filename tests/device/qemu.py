"""A machine under QEMU's software emulation: its command line, its monitor (QMP, qemu-qmp-ref(7)), its end.

There is no KVM to rely on, so everything is ten to twenty times slower than a Pi; every wait here knows that. The CPU
model is the oldest that lgpio's wheel runs on.
"""

import asyncio
import contextlib
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.processes.lab import ShortError

MEMORY_MIB: Final = 640
SNAPSHOT: Final = "ready"
_UP_WITHIN_S: Final = 30.0
_ANSWER_WITHIN_S: Final = 120.0


class MonitorError(Exception):
    """QEMU refused a command of its monitor; says which and why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start: a kernel and its disk, in a folder of the run's own; `forwards` are host port to guest port."""

    folder: Path
    kernel: Path
    initrd: Path
    disk: Path
    forwards: dict[int, int] = field(default_factory=dict)
    snapshot: str = ""

    @property
    def bench_socket(self) -> Path:
        """Where the bench inside is asked."""
        return self.folder / "bench.sock"

    @property
    def monitor_socket(self) -> Path:
        """Where QEMU itself is asked."""
        return self.folder / "qmp.sock"


def command(plan: Plan) -> list[str]:
    """Return QEMU's command line. The guest reaches the host's loopback interface as 10.0.2.2."""
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{host}-10.0.2.15:{guest}" for host, guest in plan.forwards.items())
    kernel_line = "root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off net.ifnames=0"
    return [
        *("qemu-system-x86_64", "-M", "pc", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "Nehalem"),
        *("-smp", "2", "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none", "-no-reboot"),
        *("-kernel", str(plan.kernel), "-initrd", str(plan.initrd), "-append", kernel_line),
        *("-serial", f"file:{plan.folder}/serial.log"),
        *("-qmp", f"unix:{plan.monitor_socket},server=on,wait=off"),
        *("-device", "virtio-serial-pci"),
        *("-chardev", f"socket,id=bench,path={plan.bench_socket},server=on,wait=off"),
        *("-device", "virtserialport,chardev=bench,name=bench"),
        *("-drive", f"if=none,id=root,file={plan.disk},format=qcow2,cache=writeback"),
        *("-device", "virtio-blk-pci,drive=root"),
        *("-netdev", f"user,id=net,restrict=off{forwards}"),
        *("-device", "virtio-net-pci,netdev=net,romfile="),
        *("-object", "rng-random,filename=/dev/urandom,id=chance", "-device", "virtio-rng-pci,rng=chance"),
        *("-device", "qemu-xhci,id=usb"),
        *(("-loadvm", plan.snapshot) if plan.snapshot else ()),
    ]


class Monitor:
    """QEMU's monitor: commands one at a time; what it tells by itself is passed over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path) -> "Monitor":
        """Connect and leave the phase of negotiation."""
        reader, writer = await asyncio.open_unix_connection(path)
        monitor = cls(reader, writer)
        await reader.readline()
        await monitor.do("qmp_capabilities")
        return monitor

    async def do(self, execute: str, **arguments: Any) -> Any:
        """Run a command and return its result; raise MonitorError."""
        async with self._lock, asyncio.timeout(_ANSWER_WITHIN_S):
            request = {"execute": execute, "arguments": {name.replace("_", "-"): it for name, it in arguments.items()}}
            self._writer.write(json.dumps(request).encode() + b"\n")
            while True:
                line = await self._reader.readline()
                if not line:
                    raise MonitorError(f"{execute}: QEMU went away")
                answer = json.loads(line)
                if "error" in answer:
                    raise MonitorError(f"{execute}: {answer['error']['desc']}")
                if "return" in answer:
                    return answer["return"]

    async def do_by_hand(self, line: str) -> str:
        """Run a command that only people's monitor has, such as savevm; raise MonitorError where it says anything."""
        said = str(await self.do("human-monitor-command", command_line=line))
        if said.strip():
            raise MonitorError(f"{line}: {said.strip()}")
        return said

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


class Machine:
    """A running QEMU. It ends with `kill`, or by itself when the guest powers off or reboots."""

    def __init__(self, plan: Plan, process: asyncio.subprocess.Process, monitor: Monitor) -> None:
        self.plan = plan
        self.monitor = monitor
        self._process = process

    @classmethod
    async def start(cls, plan: Plan) -> "Machine":
        """Start it and return once its sockets are there; raise ShortError with QEMU's words."""
        plan.folder.mkdir(parents=True, exist_ok=True)
        for path in (plan.bench_socket, plan.monitor_socket):
            path.unlink(missing_ok=True)
        log = plan.folder / "qemu.log"
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *command(plan), stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out
            )
        try:
            async with asyncio.timeout(_UP_WITHIN_S):
                while process.returncode is None:
                    with contextlib.suppress(OSError):
                        return cls(plan, process, await Monitor.open(plan.monitor_socket))
                    await asyncio.sleep(0.05)
        except BaseException:
            if process.returncode is None:
                process.kill()
                await process.wait()
            raise
        raise ShortError(f"QEMU ended with {process.returncode}: {log.read_text()[-400:]}")

    async def attach(self, disk: Path, log: Path | None = None) -> None:
        """Plug a raw disk in; with a log, every write and flush is written down in it. The guest names it /dev/vdb."""
        attach = self.monitor.do
        await attach("blockdev-add", driver="file", filename=str(disk), node_name="disk-file")
        node = "disk-file"
        if log is not None:
            await asyncio.to_thread(log.touch)
            await attach("blockdev-add", driver="file", filename=str(log), node_name="log-file")
            await attach("blockdev-add", driver="raw", file="log-file", node_name="log")
            await attach("blockdev-add", driver="blklogwrites", file="disk-file", log="log", node_name="disk")
            node = "disk"
        await attach("device_add", driver="virtio-blk-pci", drive=node, id="data")

    @property
    def is_running(self) -> bool:
        """False once QEMU has ended."""
        return self._process.returncode is None

    async def ended(self, *, within_s: float) -> None:
        """Wait for QEMU's own end; raise TimeoutError."""
        async with asyncio.timeout(within_s):
            await self._process.wait()
        self.monitor.close()

    async def kill(self) -> None:
        """End it at once. What its disks were given stays with the host: this is no power cut."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        self.monitor.close()


def new_disk(disk: Path, backing: Path) -> None:
    """Make a disk that keeps what differs from its backing file."""
    words = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(backing), "-F", "raw", str(disk)]
    subprocess.run(words, check=True, capture_output=True)
