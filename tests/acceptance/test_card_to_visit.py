"""The main job on real input: a card at a real pcscd becomes a visit at a real central, through kills and outages."""

import asyncio
import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.store.inspect import inspect
from demo.compare import Comparison, compare
from demo.processes import manage, output_of
from demo.world import Setup, World, world
from tests.acceptance.visitors import DWELL_S, Eyes, Visitors, watching
from tests.services.pcscd import Pcscd, running_pcscd
from tests.services.postgres import running_postgres
from tests.services.redis import running_redis
from wire.limits import MAX_FRAME_BYTES

pytestmark = [pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(400)]

SLOTS = 2
TAPS = int(os.environ.get("DOORSTILE_TAPS", "60"))
KILLS = int(os.environ.get("DOORSTILE_KILLS", "4"))
RESTARTS = 2
"""The short form; `DOORSTILE_TAPS=200 DOORSTILE_KILLS=10` is the long one."""

PROFILE = """
name = "slots"
description = "Every virtual slot of pcscd, and a simulated strike"
lock_type = "fail_secure"
egress = "mechanical"

[[readers]]
name = "in"
driver = "pcsc"
direction = "in"
match = "Virtual PCD"
slots = "all"

[strike]
driver = "simulated"
pulse_s = 0.3
ceiling_s = 1.0

[light]
driver = "none"

[buzzer]
driver = "none"
"""

CONFIG = """
[door]
hold_off_s = 1.0
"""


@dataclass
class Accidents:
    """What went wrong on purpose."""

    kills: int = 0
    restarts: int = 0


@pytest.fixture
def slots() -> Iterator[Pcscd]:
    with running_pcscd(SLOTS) as pcscd:
        yield pcscd


@pytest.fixture(params=["sqlite", "postgres-redis"])
def setup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Setup]:
    profile, config = tmp_path / "slots.toml", tmp_path / "agent.toml"
    profile.write_text(PROFILE)
    config.write_text(CONFIG)
    options = ("--profile", str(profile), "--config", str(config))
    if request.param == "sqlite":
        yield Setup(agent_options=options)
        return
    with _at_scale() as env:
        uvicorn = (sys.executable, "-m", "uvicorn", "central.config.asgi:application", "--port", "{port}")
        limits = ("--ws-max-size", str(2 * MAX_FRAME_BYTES), "--ws-per-message-deflate", "false")
        yield Setup(central_command=(*uvicorn, "--workers", "2", *limits), central_env=env, agent_options=options)


@contextmanager
def _at_scale() -> Iterator[dict[str, str]]:
    with ExitStack() as services:
        database = services.enter_context(running_postgres())
        redis = services.enter_context(running_redis())
        env = {"DOORSTILE_DATABASE_URL": database, "DOORSTILE_REDIS_URL": redis}
        asyncio.run(output_of(manage("migrate", "--no-input"), env=env))
        yield env


async def _kill_the_agent(built: World, accidents: Accidents, span_s: float, rng: random.Random) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(rng.uniform(0.4, 1.6) * span_s / KILLS)
        await built.kill_agent()
        accidents.kills += 1
        await built.start_agent()


async def _restart_central(built: World, accidents: Accidents, span_s: float, rng: random.Random) -> None:
    for _ in range(RESTARTS):
        await asyncio.sleep(rng.uniform(0.5, 1.0) * span_s / RESTARTS)
        await built.stop_central()
        await asyncio.sleep(rng.uniform(0.5, 2.0))
        await built.start_central()
        accidents.restarts += 1


async def _drained(built: World) -> Comparison:
    async with asyncio.timeout(60):
        while True:
            with inspect(built.state) as journal:
                waiting = sum(run.last - run.acked for run in journal.verify().runs)
            if not waiting:
                return await compare(built)
            await asyncio.sleep(0.3)


async def test_every_tap_that_showed_green_is_at_central_once(
    slots: Pcscd, setup: Setup, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng, accidents = random.Random(3), Accidents()
    async with world(tmp_path, setup) as built, watching(built) as eyes:
        visitors = Visitors(slots.ports, built.seed.cards, taps=TAPS)
        span_s = TAPS / SLOTS * 2 * DWELL_S
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(visitors.come())
            tasks.create_task(_kill_the_agent(built, accidents, span_s, rng))
            tasks.create_task(_restart_central(built, accidents, span_s, rng))
        found = await _drained(built)
    with capsys.disabled():
        print(f"\n  {_report(visitors, accidents, eyes, found)}")
    assert found.is_equal, found
    assert eyes.greens <= set(found.central)
    assert len(eyes.greens) > TAPS // 4, "the door worked most of the time"
    assert accidents == Accidents(KILLS, RESTARTS)


def _report(visitors: Visitors, accidents: Accidents, eyes: Eyes, found: Comparison) -> str:
    return (
        f"{visitors.taps} taps, {accidents.kills} SIGKILLs, {accidents.restarts} central restarts: "
        f"{len(eyes.greens)} greens seen, {len(found.device)} events on the device, {len(found.central)} at central, "
        f"{len(eyes.greens - set(found.central))} greens missing, {found.twice} twice, {found.visits} visits"
    )
