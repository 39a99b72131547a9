"""A card that is tapped at the desk opens the door, and its number stands nowhere on the way."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from agent.simulation import SOCKET_NAME, SimRequest, ask
from demo.processes import doorstile, manage, output_of, running
from demo.world import Setup, World, free_port, world
from tests.services.chromium import QUIET, need_chromium

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(180)]

NEW, OTHER = "04D0D1D2D3D4D5", "04E0E1E2E3E4E5"
DESK = """
name = "desk"
description = "Simulated reader at the desk"
lock_type = "none"
desk = true
light = { driver = "none" }
buzzer = { driver = "none" }
[[readers]]
name = "desk"
driver = "simulated"
direction = "toggle"
"""


@asynccontextmanager
async def desk_of(built: World) -> AsyncIterator[Path]:
    """Let a desk join and work beside the door; yield its state folder."""
    profile, state = built.folder / "desk.toml", built.folder / "desk"
    profile.write_text(DESK)
    words = ("enrolment_code", "--create", "--site", "Harbour Gym", "--door", "Front desk", "--json")
    code = json.loads(await output_of(manage(*words), env=built.central_env))["code"]
    await output_of(doorstile("join", "--central", built.central_url, "--code", code, "--state", str(state), "--yes"))
    run = ("run", "--state", str(state), "--profile", str(profile), "--kiosk-port", str(free_port()))
    async with running("desk", doorstile(*run), built.folder):
        while not (state / SOCKET_NAME).exists():
            await asyncio.sleep(0.05)
        yield state


async def tap(state: Path, uid: str) -> None:
    assert not (await ask(state, SimRequest(do="tap", args={"uid": uid}))).error


async def looks(state: Path, screen: str) -> None:
    """Wait until the screen of a device shows so."""
    async with asyncio.timeout(20):
        while (await ask(state, SimRequest(do="status"))).door["screen"] != screen:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def staff(built: World) -> AsyncIterator[Page]:
    """Somebody of staff with a browser, logged in; a script error on a page fails the test."""
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=need_chromium(), args=QUIET)
        page = await browser.new_page(viewport={"width": 1000, "height": 640})
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        await page.goto(f"{built.central_url}/admin/login/?next=/admin/directory/member/")
        await page.fill("#id_username", built.seed.username)
        await page.fill("#id_password", built.seed.password)
        await page.click("input[type=submit]")
        yield page
        await browser.close()
    assert errors == []


async def read_card(page: Page, built: World, reader: str) -> None:
    """Go from the list of members to the page that waits for a card."""
    await page.goto(f"{built.central_url}/admin/directory/member/")
    await page.click("#result_list tbody th a >> nth=0")
    await page.click("text=Read a card")
    label = await page.locator("option", has_text=reader).first.text_content()
    await page.select_option("#device", label=(label or "").strip())
    await page.click("text=Read a card >> nth=-1")
    await expect(page.locator("#says")).to_contain_text("Tap the card now")


async def test_card_from_the_desk_opens_the_door(tmp_path: Path) -> None:
    need_chromium()
    async with world(tmp_path, Setup()) as built, desk_of(built) as desk, staff(built) as page:
        await built.until("members", "yes")
        await built.until("link", "up")
        await looks(desk, "desk")
        await tap(desk, NEW)
        await looks(desk, "card_unasked")

        await read_card(page, built, "Front desk")
        await looks(desk, "capture")
        await page.screenshot(path=tmp_path / "waiting.png")
        await tap(desk, NEW)
        await looks(desk, "card_read")
        await expect(page.locator("#says")).to_contain_text("Known at 1 of 1 door")
        await page.screenshot(path=tmp_path / "enrolled.png")
        await tap(built.state, NEW)
        await looks(built.state, "granted_in")

        await read_card(page, built, "Front desk")
        await looks(desk, "capture")
        await tap(desk, NEW)
        await expect(page.locator("#says")).to_contain_text("holds this credential already")

        await read_card(page, built, "North door")
        await looks(built.state, "capture")
        await tap(built.state, OTHER)
        await expect(page.locator("#says")).to_contain_text("Known at 1 of 1 door")
        _is_silent(built)


def _is_silent(built: World) -> None:
    """Look for the numbers in everything that was written."""
    pattern = re.compile(b"|".join(form for uid in (NEW, OTHER) for form in _forms(uid)))
    for path in built.folder.rglob("*"):
        if path.is_file():
            assert not pattern.search(path.read_bytes()), path


def _forms(uid: str) -> list[bytes]:
    return [uid.encode(), uid.lower().encode(), re.escape(bytes.fromhex(uid))]
