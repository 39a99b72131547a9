"""F26 to F40: readers, inputs and lines. What needs a real daemon or a pin factory runs the tests of that component."""

import asyncio
import contextlib
import subprocess
import sys
from typing import Final

from demo.processes import DemoError
from tests.processes.door_process import edges
from tests.processes.doors import PROFILE
from tests.processes.evidence import Record
from tests.processes.lab import OUT_OF_SERVICE, RED, Lab, NotRunError, ShortError, Table, need

TABLE: Final = Table()
_TESTS_WITHIN_S: Final = 200
_RELAY: Final = """driver = "gpio"
line = 17
active_high = true
safe_state = "inactive"
contact = "NO"
hang_guard = "hardware_watchdog"
"""


async def component(*words: str) -> str:
    """Run tests of a component; raise ShortError where one fails and NotRunError where none could run."""
    command = [sys.executable, "-m", "pytest", "--no-header", "-rf", "-p", "no:randomly", *words]
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=_TESTS_WITHIN_S
    )
    last = (done.stdout.strip().splitlines() or [done.stderr[-200:]])[-1]
    if done.returncode:
        raise ShortError("; ".join([*(line for line in done.stdout.splitlines() if line.startswith("FAILED")), last]))
    if "passed" not in last:
        raise NotRunError(last)
    return f"{' '.join(words)}: {last}"


@TABLE.row(
    "F26-F27",
    "half reads dropped; bound again within 10 s; alarm",
    "real pcscd restarted, reader gone and back, torn answers; scanners replugged in the middle of codes",
)
async def pcscd_restarted(_lab: Lab) -> str | None:
    return await component(*(f"tests/hardware/test_{name}.py" for name in ("pcsc_service", "pcsc_faults", "keyboard")))


@TABLE.row(
    "F28-F31",
    "one decision for one presence; rejects short; the next read works",
    "torn, oversize, triple tap",
    is_quick=True,
)
async def bad_reads(lab: Lab) -> str | None:
    async with lab.place(config="") as place:
        after = len(place.page.seen)
        await place.door.sim("torn")
        await place.page.next_of(RED, after=after)
        for uid in ("00", "ab" * 300):
            with contextlib.suppress(DemoError):  # the panel refuses what is no card
                await place.door.sim("tap", uid=uid)
        await place.door.sim("qr", text="A" * 3000)
        card = place.card()
        for _ in range(3):
            await place.tap(card)
        await asyncio.sleep(1.0)
        await place.opens()
        record = await place.equal()
        faults = [event["body"] for _, event in record.of_kind("read_fault")]
        need(len(record.grants()) == 2, f"{len(record.grants())} grants for two people")
        need(all(len(body.get("detail", "")) < 200 for body in faults), "a reject was recorded at length")
    return f"{len(faults)} rejects recorded"


@TABLE.row(
    "F26",
    "alarm, out of service, back by itself",
    "both simulated readers unplugged and plugged in again",
)
async def unplugged(lab: Lab) -> str | None:
    async with lab.place() as place:
        after = len(place.page.seen)
        for reader in ("in", "out"):
            await place.door.sim("unplug", reader=reader)
        view = await place.page.next_of(OUT_OF_SERVICE, after=after)
        need(view.get("code") == "E1", str(view))
        for reader in ("in", "out"):
            await place.door.sim("replug", reader=reader)
        await place.opens()
        record = await place.equal()
        codes = [event["body"]["code"] for _, event in record.of_kind("alarm")]
        need(codes.count("reader_missing") == 2 and codes.count("reader_back") == 2, str(codes))
    return None


@TABLE.row("F32", "one after the other", "two Wiegand readers at once, their edges mixed; frames disturbed at random")
async def two_at_once(_lab: Lab) -> str | None:
    return await component("tests/hardware/test_wiegand.py", "tests/hardware/test_wiegand_frames.py")


@TABLE.row("F33", "input is data, never a command", "codes that look like commands, markup, SQL and terminal control")
async def hostile_codes(lab: Lab) -> str | None:
    codes = (
        "unlock",
        '{"do":"kill"}',
        "'; DROP TABLE events;--",
        "\x1b]0;x\x07",
        "<script>1</script>",
        "\x00\xff",
        "﷐",
    )
    async with lab.place() as place:
        for text in codes:
            await place.door.sim("qr", text=text)
        await asyncio.sleep(0.5)
        await place.opens()
        record = await place.equal()
        held = str(record.events.values())
        need(not any(text in held for text in codes[1:5]), "the journal holds what was presented")
        need(len(record.grants()) == 1, f"{len(record.grants())} grants")
    return f"{len(codes)} codes, all denied and recorded by their keyed index"


@TABLE.row(
    "F34-F35",
    "bounded and resynchronised; canonical or rejected",
    "the decoders' own tests: five layouts, CapsLock, floods, NUL, XOFF, look-alike characters",
)
async def floods_and_layouts(_lab: Lab) -> str | None:
    return await component(
        *(f"tests/hardware/test_{name}.py" for name in ("framing", "wedge", "layouts", "serial_codes"))
    )


@TABLE.row(
    "F36-F37",
    "out of service and says why; stop commanding",
    "an agent whose lock needs a GPIO chip that is not there; the GPIO and pulse drivers' own tests",
)
async def gpio_missing(lab: Lab) -> str | None:
    profile = PROFILE.replace('driver = "simulated"\npulse_s', f"{_RELAY}pulse_s")
    for index, way in enumerate(("in", "out")):
        real = f'driver = "pcsc"\nmatch = "ACR122"\nindex = {index}\ndirection = "{way}"'
        profile = profile.replace(f'driver = "simulated"\ndirection = "{way}"', real)
    profile = profile.replace('name = "door"', 'name = "door"\npin_factory = "lgpio"')
    async with lab.place(profile=profile, is_started=False) as place:
        await place.door.launch()
        view = await place.page.next_of(OUT_OF_SERVICE, after=0, within_s=20)
        said = next((line for line in place.door.log.splitlines() if "out of service: " in line), "")
        need("pin factory" in said or "gpiochip" in said, f"the log does not say why: {place.door.log[-300:]}")
        need(not edges(place.door.line), "something moved at a door that is out of service")
        await asyncio.sleep(1.0)
        kinds = [event["kind"] for event in Record.of(place.door.state).events.values()]
        need("started" in kinds, f"an agent that is out of service records nothing: {kinds}")
    tests = await component(
        "tests/hardware/test_gpio.py", "tests/hardware/test_pulse.py", "tests/hardware/test_guard.py"
    )
    return f"shown: {view.get('code')}; the agent says: {said.partition('out of service: ')[2][:160]}; {tests}"


@TABLE.row(
    "F38-F40",
    "nobody is invited; the line rests and nothing is commanded; busy arms wait, then out of service",
    "fire, busy and exit inputs at the door's own machine and at the agent on simulated lines",
    is_quick=True,
)
async def fire_and_busy(_lab: Lab) -> str | None:
    return await component("tests/core/test_doorway.py", "tests/core/test_turnstile.py", "tests/agent/test_door.py")
