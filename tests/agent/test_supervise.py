import asyncio
import socket
from pathlib import Path

import pytest

from agent.supervise import Notifier

pytestmark = pytest.mark.unit


def listener(folder: Path) -> socket.socket:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(folder / "n"))
    heard.settimeout(1)
    return heard


def test_systemd_hears_ready_status_and_stopping(tmp_path: Path) -> None:
    with listener(tmp_path) as heard:
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "n")})
        notifier.ready("North door")
        notifier.status("offline")
        notifier.stopping()
        assert [heard.recv(99) for _ in range(3)] == [b"READY=1\nSTATUS=North door", b"STATUS=offline", b"STOPPING=1"]


def test_an_abstract_socket_is_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0doorstile-test-notify")
        heard.settimeout(1)
        Notifier({"NOTIFY_SOCKET": "@doorstile-test-notify"}).status("x")
        assert heard.recv(99) == b"STATUS=x"


def test_without_systemd_nothing_is_sent() -> None:
    Notifier({}).ready("x")


def test_a_supervisor_that_is_gone_does_not_stop_the_door(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("x")


async def test_the_watchdog_is_fed_from_the_loop(tmp_path: Path) -> None:
    with listener(tmp_path) as heard:
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "30000000"})
        assert notifier.watchdog_s == 30
        async with asyncio.TaskGroup() as tasks:
            feeding = tasks.create_task(notifier.feed_watchdog())
            await asyncio.sleep(0)
            assert heard.recv(99) == b"WATCHDOG=1"
            feeding.cancel()


@pytest.mark.parametrize("microseconds", ["", "soon"])
async def test_without_a_watchdog_there_is_nothing_to_feed(microseconds: str) -> None:
    await Notifier({"WATCHDOG_USEC": microseconds}).feed_watchdog()
