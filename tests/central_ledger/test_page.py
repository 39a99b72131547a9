"""The dashboard in a real browser, with a real central behind it and a device that says what the test wants."""

import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from playwright.async_api import Page, expect

from tests.central_link.minting import DeviceIdentity
from tests.fakes.journal_script import START_MS, JournalScript
from tests.fakes.scripted_device import ScriptedDevice, connected, journal_of
from tests.services.central import RunningCentral, running_central
from tests.services.chromium import need_chromium, open_page
from wire.directory import read_row
from wire.enrolment import ENROL_PATH
from wire.messages import Command, CommandAck, CommandResult, Heartbeat, HeartbeatAck
from wire.transfer import DirChunk
from wire.vocabulary import ClockQuality, CommandState, Direction

pytestmark = [pytest.mark.service, pytest.mark.slow]

SHOWN_WITHIN_S = 1.0
"""Generous for a busy machine; the bench holds the product to a tenth of it."""
EVIL = "<img src=x onerror=\"document.title='broken'\">"


@dataclass(frozen=True)
class Shop:
    """A central with the demonstration's site, and the device at its door."""

    central: RunningCentral
    username: str
    password: str
    identity: DeviceIdentity

    @asynccontextmanager
    async def device(self, run: str) -> AsyncIterator[tuple[ScriptedDevice, JournalScript, list[UUID]]]:
        """Connect and greet for a new run; yield the device, its journal and the members that it was told of."""
        journal = journal_of(self.identity, run=run, store=run)
        async with connected(self.central.link_url, self.identity.token(datetime.now(UTC))) as device:
            await device.greet(journal, dir=None)
            rows = (await device.hear(DirChunk)).rows
            yield device, journal, sorted(UUID(read_row(bytes(row)).member) for row in rows)


@contextmanager
def open_shop(folder: Path) -> Iterator[Shop]:
    """Run a central whose first member has markup for a name, and let a device join it."""
    need_chromium()
    with running_central(folder) as central:
        seed = json.loads(central.manage("demo_seed", "--json", "--members", "2"))
        member = "from central.directory.models import Member; m = Member.objects.order_by('pk').first()"
        central.manage("shell", "-v0", "-c", f"{member}; m.full_name = {EVIL!r}; m.save()")
        identity = DeviceIdentity()
        request = identity.enrolment(seed["code"], central.url)
        answer = central.post(ENROL_PATH, msgspec.json.encode(request))
        identity.device, identity.kid, identity.audience = answer["device"], answer["kid"], answer["audience"]
        yield Shop(central, seed["username"], seed["password"], identity)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture
def own_shop(tmp_path: Path) -> Iterator[Shop]:
    """Return a shop in which no other test's visitors were."""
    with open_shop(tmp_path) as shop:
        yield shop


@asynccontextmanager
async def dashboard(shop: Shop) -> AsyncIterator[Page]:
    """Log in as staff do."""
    async with open_page(shop.central.url + "/") as page:
        await page.fill("[name=username]", shop.username)
        await page.fill("[name=password]", shop.password)
        await page.press("[name=password]", "Enter")
        await expect(page.locator("#link")).to_have_attribute("data-state", "live")
        yield page


def ago(seconds: float) -> int:
    """Return a moment before now, as journals count."""
    return round((time.time_ns() / 1e6) - START_MS - seconds * 1000)


async def test_page_shows_what_happens_as_it_happens(shop: Shop) -> None:
    async with shop.device("00000000000000a1") as (device, journal, members), dashboard(shop) as page:
        await expect(page.locator("#quiet")).to_be_visible()
        journal.visit(members[1], ago(2), Direction.IN)
        begun = time.perf_counter()
        await device.deliver(journal, 1, 2)
        await page.wait_for_selector("#feed li", state="attached")
        assert time.perf_counter() - begun < SHOWN_WITHIN_S
        await expect(page.locator("#feed li")).to_have_count(1)
        await expect(page.locator("#currentlyIn")).to_have_text("1")
        await expect(page.locator("tr[data-device]")).to_have_attribute("data-state", "online")

        journal.grant(members[0], ago(3600))
        await device.deliver(journal, 3, 3)
        await expect(page.locator("#feed li").nth(1)).to_contain_text("late")
        await expect(page.locator("#feed li").nth(1).locator(".who")).to_have_text(EVIL)
        assert "broken" not in await page.title()
        assert await page.locator("img").count() == 0
        await page.reload()
        await expect(page.locator("#feed li")).to_have_count(2)
        await expect(page.locator("#feed li").nth(1).locator(".who")).to_have_text(EVIL)


async def test_staff_let_one_person_in_and_see_each_step(shop: Shop) -> None:
    async with shop.device("00000000000000a2") as (device, _, _), dashboard(shop) as page:
        said = page.locator("form.unlock output")
        await page.fill("form.unlock [name=reason]", "forgot the card")
        await page.click("form.unlock button")
        command = await device.hear(Command)
        await expect(said).to_contain_text("sent")
        await device.say(CommandAck(id=command.id, state=CommandState.QUEUED))
        await expect(said).to_contain_text("received")
        await device.say(CommandResult(id=command.id, state=CommandState.DONE, code="relocked"))
        await expect(said).to_have_text("unlocked")
        await expect(page.locator("form.unlock button")).to_be_enabled()


async def test_door_that_is_away_is_not_asked(shop: Shop) -> None:
    async with shop.device("00000000000000a3"):
        pass
    async with dashboard(shop) as page:
        await expect(page.locator("tr[data-device]")).to_have_attribute("data-state", "away")
        await page.fill("form.unlock [name=reason]", "forgot the card")
        await page.click("form.unlock button")
        await expect(page.locator("form.unlock output")).to_contain_text("refused: the door is not connected")


async def test_door_says_when_it_was_heard_and_what_waits_falls_as_it_comes(own_shop: Shop) -> None:
    async with own_shop.device("00000000000000a5") as (device, journal, members), dashboard(own_shop) as page:
        row = page.locator("tr[data-device]")
        await expect(row.locator("[data-field=lastSeen]")).to_have_text(re.compile(r"^\d+ s ago$"))
        await device.say(Heartbeat(mono_ms=1, wall_ms=1, q=ClockQuality.NONE, backlog=4))
        await device.hear(HeartbeatAck)
        journal.visit(members[1], ago(2), Direction.IN)
        await device.deliver(journal, 1, 2)
        await expect(row.locator("[data-field=waiting]")).to_have_text("2")
        journal.visit(members[0], ago(1), Direction.IN)
        await device.deliver(journal, 3, 4)
        await expect(row.locator("[data-field=waiting]")).to_have_text("0")
    async with dashboard(own_shop) as page:
        await expect(page.locator("[data-field=waiting]")).to_have_text("?")


async def test_page_says_how_old_its_figures_are_once_central_is_gone(tmp_path: Path) -> None:
    with open_shop(tmp_path) as shop:
        async with shop.device("00000000000000a4"), dashboard(shop) as page:
            shop.central.stop()
            await expect(page.locator("#link")).to_contain_text("Connection lost; figures are")
            await expect(page.locator("body.stale")).to_have_count(1)
