"""A card reader and a relay: the main job from our wheel, and the relay's line through every end of the agent."""

import random
from typing import Final

from tests.device.door import CARD_READER, HEAD, OUTPUTS, RELAY, STATE, UNIT, Bench
from tests.device.edges import left_on_ms, parse, pulses
from tests.device.table import Scale, Table
from tests.processes.lab import need

TABLE: Final = Table()
PROFILE: Final = HEAD + CARD_READER + OUTPUTS
_RELAY_TEST: Final = (
    "unshare --mount sh -c 'mount --bind /run/board-cpuinfo /proc/cpuinfo && LG_WD=/tmp "
    "/opt/doorstile/bin/doorstile hardware test relay --yes --heard yes'"
)
"""As root, who sees the board of the unit's own view."""


@TABLE.case("door-tap", "vpcd, gpio-sim", "from the wheel, by its unit, as its own user: join, tap, relay, visit")
async def tap_to_visit(bench: Bench, _scale: Scale) -> str:
    async with bench.door("tap", PROFILE) as door:
        await door.start()
        owners = await door.guest.sh(f"stat -c %U /proc/{await door.main_pid()} {STATE}/identity.json")
        need(owners.split() == ["doorstile"] * 2, f"process and identity belong to {owners.split()}")
        await door.opens_by_card()
        await door.cut_link()
        await door.opens_by_card()
        await door.heal_link()
        record, found = await door.checked()
        need(len(record.grants()) == 2, f"{len(record.grants())} grants for two taps")
        need([how for _, how in record.passages()] == ["passed"] * 2, f"passages: {record.passages()}")
        need(found.visits == 2, f"{found.visits} visits at central")
    return "2 taps, one of them without a link: the line was seen high twice, 2 visits at central"


@TABLE.case("door-ends", "gpio-sim", "no edge outside a grant through restarts and SIGKILLs, idle and in mid-pulse")
async def restarts_and_crashes(bench: Bench, scale: Scale) -> str:
    ends = ["restart"] * scale.restarts + ["kill"] * scale.crashes
    random.Random(1).shuffle(ends)
    async with bench.door("ends", PROFILE) as door:
        await door.start()
        for count, end in enumerate(ends):
            if count % 2 == 0:
                await door.unlocks_by_card()
            await (door.restart() if end == "restart" else door.kill())
        await door.opens_by_card()
        record, _ = await door.checked()
        starts = len(list(record.of_kind("started")))
        need(starts == len(ends) + 1, f"{starts} starts in the journal")
        on = len(pulses(door.edges, RELAY))
        left_on = left_on_ms(door.edges, RELAY, door.ends_ms)
    return (
        f"{scale.restarts} restarts, {scale.crashes} SIGKILLs: {len(record.grants())} grants, {on} pulses, 0 edges "
        f"outside; {len(left_on)} ends in mid-pulse, the line told off at most {max(left_on, default=0):.0f} ms later"
    )


@TABLE.case("door-reboot", "gpio-sim", "the line is told off before the machine goes down, and stays off until a grant")
async def reboot(bench: Bench, _scale: Scale) -> str:
    async with bench.door("reboot", PROFILE) as door:
        await door.guest.sh(f"systemctl enable --quiet {UNIT}")
        await door.start()
        await door.unlocks_by_card()
        before = await door.guest.new_edges()
        need(before[-1].level or pulses(before, RELAY)[-1].off_ms is None, "the pulse was over too soon to be cut off")
        await door.reboot()
        going_down = parse((await door.guest.get("/var/log/board-trace")).decode())
        (pulse,) = pulses([*before, *going_down], RELAY)
        need(pulse.off_ms is not None, "the machine went down with the line on")
        await door.guest.until(f"systemctl is-active --quiet {UNIT}", within_s=240)
        coming_up = await door.guest.new_edges()
        need(coming_up, "no line was set after the reboot")
        need(not pulses(coming_up, RELAY), "the line moved before anybody tapped")
        door.edges = coming_up
        await door.opens_by_card()
        record, _ = await door.settled()
        need(len(record.grants()) == 2, f"{len(record.grants())} grants for two taps")
    return "a pulse was cut off by the reboot, before the machine went down; no edge until the next grant"


@TABLE.case(
    "door-trial", "gpio-sim", "a technician's relay test, as root: recorded before it opens, the agent goes on after it"
)
async def relay_test(bench: Bench, _scale: Scale) -> str:
    async with bench.door("trial", PROFILE) as door:
        await door.start()
        code, said = await door.guest.try_sh(_RELAY_TEST)
        need(code == 5 and "systemctl stop" in said, f"tried beside a running agent: {code}: {said[-300:]}")
        await door.stop()
        said = await door.guest.sh(_RELAY_TEST)
        need("strike was on for" in said, said[-300:])
        owners = await door.guest.sh(f"stat -c %U {STATE}/*")
        need(set(owners.split()) == {"doorstile"}, f"files in the state folder belong to {set(owners.split())}")
        await door.start()
        await door.opens_by_card()
        record, _ = await door.checked()
        results = [event["body"] for _, event in record.of_kind("command_result")]
        need([body["code"] for body in results] == ["pulsed"], f"results: {results}")
        need(len(pulses(door.edges, RELAY)) == 2, f"{len(pulses(door.edges, RELAY))} pulses")
    return "refused beside the agent; then one pulse after its record, told to central by the agent that came after"
