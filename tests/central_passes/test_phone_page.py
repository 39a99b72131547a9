"""The page on a member's phone in a real browser: the code that it draws opens a door, also without a network."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import BrowserContext, Page, async_playwright, expect

from rules.policy import decide
from tests.passes.making import KEY, PassDoor
from tests.services.central import RunningCentral, running_central
from tests.services.chromium import QUIET, need_chromium
from wire.credentials import credential_key
from wire.passes import STEP_MS, read_rotating, step_at
from wire.rows import DirectoryRow
from wire.vocabulary import CredentialKind, Reason

pytestmark = [pytest.mark.service, pytest.mark.slow]


@dataclass(frozen=True)
class Desk:
    """A central with a member, and what staff do there."""

    central: RunningCentral

    def link(self) -> str:
        """Return a new link for the member's phone."""
        script = (
            "from central.directory.models import Member; from central.passes import phones;"
            "from django.utils import timezone; m = Member.objects.order_by('pk').first();"
            "print(phones.make_link(m, actor='desk', now=timezone.now()))"
        )
        return f"{self.central.url}/phone/#{self.central.manage('shell', '-v0', '-c', script).strip()}"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    need_chromium()
    with running_central(tmp_path_factory.mktemp("central")) as central:
        json.loads(central.manage("demo_seed", "--json", "--members", "1"))
        yield Desk(central)


@asynccontextmanager
async def phone() -> AsyncIterator[BrowserContext]:
    """A browser the size of a phone; a script error on a page fails the test."""
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=need_chromium(), args=QUIET)
        context = await browser.new_context(viewport={"width": 390, "height": 760})
        context.set_default_timeout(15_000)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        yield context
        await browser.close()
    assert errors == []


async def shown(page: Page) -> str:
    """Return the text of the code on the page."""
    await expect(page.locator("body")).to_have_attribute("data-state", "ready")
    text = await page.locator("#code").get_attribute("data-text")
    assert text is not None
    return text


def door_of(text: str) -> PassDoor:
    """Return a door that knows the phone, at this moment."""
    key = credential_key(KEY, CredentialKind.PASS_ROTATING, read_rotating(text).public)
    door = PassDoor(DirectoryRow(key=key, kind=CredentialKind.PASS_ROTATING, member="m1"))
    door.clock.wall_ms = time.time_ns() // 1_000_000
    return door


async def test_link_makes_a_phone_whose_codes_open_a_door_once(desk: Desk, tmp_path: Path) -> None:
    async with phone() as browser:
        page = await browser.new_page()
        await page.goto(desk.link())
        text = await shown(page)
        assert "#" not in page.url
        door = door_of(text)
        assert [decide(door.facts(text)).reason, door.decide(text).reason, door.decide(text).reason] == [
            Reason.MEMBER_VALID, Reason.MEMBER_VALID, Reason.PASS_REPLAYED,
        ]  # fmt: skip
        await expect(page.locator("#where")).not_to_have_text("Your pass")
        await page.screenshot(path=tmp_path / "phone.png")


async def test_codes_go_on_without_a_network_and_after_a_restart_of_the_page(desk: Desk) -> None:
    async with phone() as browser:
        page = await browser.new_page()
        await page.goto(desk.link())
        first = await shown(page)
        await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        await page.reload()
        await browser.set_offline(True)
        await page.reload()
        text = await shown(page)
        assert read_rotating(text).public == read_rotating(first).public
        assert door_of(text).decide(text).is_grant


async def test_next_code_is_of_the_next_step(desk: Desk) -> None:
    async with phone() as browser:
        page = await browser.new_page()
        await page.clock.install(time=time.time_ns() / 1e9)
        await page.goto(desk.link())
        first = read_rotating(await shown(page)).step
        await page.clock.run_for(STEP_MS)
        await expect(page.locator("#code")).not_to_have_attribute("data-text", "")
        assert read_rotating(await shown(page)).step == first + 1


async def test_phone_whose_clock_is_off_says_so_and_shows_the_right_step(desk: Desk) -> None:
    async with phone() as browser:
        page = await browser.new_page()
        await page.clock.install(time=time.time_ns() / 1e9 - 3600)
        await page.goto(desk.link())
        text = await shown(page)
        assert abs(read_rotating(text).step - step_at(time.time_ns() // 1_000_000)) <= 1
        await expect(page.locator("#clock")).to_contain_text("slow")


async def test_used_link_keeps_the_pass_that_the_phone_has(desk: Desk) -> None:
    link = desk.link()
    async with phone() as one, phone() as other:
        page = await one.new_page()
        await page.goto(link)
        await shown(page)
        late = await other.new_page()
        await late.goto(desk.link())
        before = read_rotating(await shown(late)).public
        await late.goto(link)
        await expect(late.locator("#says")).to_contain_text("used by another phone")
        await late.goto(f"{desk.central.url}/phone/")
        assert read_rotating(await shown(late)).public == before


async def test_phone_without_a_pass_is_told_what_to_do(desk: Desk) -> None:
    async with phone() as browser:
        page = await browser.new_page()
        await page.goto(f"{desk.central.url}/phone/")
        await expect(page.locator("#says")).to_contain_text("Open the link from the desk")
        unknown: Any = await page.goto(f"{desk.central.url}/phone/#nonsense")
        assert unknown is None or unknown.ok
        await expect(page.locator("#says")).to_contain_text("not known")
