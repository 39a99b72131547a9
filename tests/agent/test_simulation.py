import asyncio
from pathlib import Path

import msgspec
import pytest

from agent.clock import SimulatedTime, SystemTime
from agent.simulation import SimAnswer, SimRequest, Simulation, ask, serve, simulated_readers
from hardware.base import InputChange, InputRole, ReaderEvent, ReaderFault, Scan
from hardware.factory import build
from hardware.inputs.simulated import SimInput, SimInputs
from hardware.profiles import load_profile
from hardware.sim import SimReader
from tests.fakes.manual_time import settle
from wire.events import AlarmBody, Body, DecisionBody, DoorBody, ModeBody, ReadFaultBody, Receipt, StartedBody
from wire.vocabulary import CredentialKind, Direction, DoorChange, DoorMode, ModeCause, Outcome, Reason

pytestmark = pytest.mark.unit


class FakeGate:
    def __init__(self) -> None:
        self.is_open = True

    def cut(self) -> None:
        self.is_open = False

    def heal(self) -> None:
        self.is_open = True


class Scene:
    def __init__(self) -> None:
        self.readers = {name: SimReader(name) for name in ("in", "out")}
        self.gate = FakeGate()
        self.time = SimulatedTime(SystemTime())
        self.events: list[ReaderEvent] = []
        self.contact = SimInput("contact", InputRole.CONTACT)
        self.simulation = Simulation(
            self.readers,
            inputs=SimInputs([self.contact]),
            time=self.time,
            gate=self.gate,
            describe=lambda: {"lock": "locked"},
        )

    def do(self, do: str, **args: str) -> SimAnswer:
        return self.simulation.do(SimRequest(do=do, args=args))


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def run(scene: Scene, *requests: tuple[str, dict[str, str]]) -> list[str]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(reader.run(scene.events.append)) for reader in scene.readers.values()]
        await settle()
        errors = [scene.do(do, **args).error for do, args in requests]
        for task in running:
            task.cancel()
    return errors


async def test_taps_and_codes_reach_the_named_reader(scene: Scene) -> None:
    errors = await run(scene, ("tap", {"uid": "04A1B2C3", "reader": "out"}), ("qr", {"text": "gym"}))
    scans = [(event.reader, event.data) for event in scene.events if isinstance(event, Scan)]
    assert (errors, scans) == (["", ""], [("out", bytes.fromhex("04a1b2c3")), ("in", b"gym")])


async def test_a_reader_can_be_torn_unplugged_and_plugged_in(scene: Scene) -> None:
    await run(scene, ("torn", {}), ("unplug", {}), ("replug", {}))
    faults = [event.reason.value for event in scene.events if isinstance(event, ReaderFault)]
    assert faults == ["torn_read", "reader_missing", "reader_back"]


@pytest.mark.parametrize(
    ("do", "args", "says"),
    [
        ("dance", {}, "no action 'dance'; there are clock, input, kill"),
        ("input", {"input": "roof", "state": "on"}, "no simulated input 'roof'; the profile has contact"),
        ("input", {"input": "contact", "state": "ajar"}, "say on, off or touch"),
        ("input", {}, "no simulated input ''"),
        ("tap", {"uid": "xyz"}, "uid 'xyz' is not hex"),
        ("tap", {"uid": "04A1B2C3", "reader": "roof"}, "no reader 'roof'; the profile has in, out"),
        ("link", {"state": "bent"}, "say cut or heal"),
        ("tap", {"uid": "04A1"}, "'04A1' has 4 hex digits; give 8, 14 or 20"),
        ("clock", {"synced": "maybe"}, "say yes, no, or kernel"),
        ("clock", {"shift_s": "far"}, "far"),
        ("clock", {"shift_s": "inf"}, "at most"),
        ("clock", {"shift_s": "nan"}, "at most"),
        ("clock", {"shift_s": "-1e300"}, "at most"),
        ("tap", {"uid": "04A1B2C3"}, "not running"),
    ],
)
async def test_a_wrong_request_says_what_would_be_right(scene: Scene, do: str, args: dict[str, str], says: str) -> None:
    assert says in scene.do(do, **args).error


async def test_inputs_are_worked_by_name_and_by_role(scene: Scene) -> None:
    changes: list[InputChange] = []
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(scene.contact.run(changes.append))
        await settle()
        assert scene.do("input", input="contact", state="on").error == ""
        running.cancel()
    assert [change.is_active for change in changes] == [False, True]
    assert scene.simulation.inputs.roles == (InputRole.CONTACT,)


async def test_the_link_is_cut_and_healed(scene: Scene) -> None:
    scene.do("link", state="cut")
    assert not scene.gate.is_open
    scene.do("link", state="heal")
    assert scene.gate.is_open


async def test_the_clock_is_set_wrong_and_right_again(scene: Scene) -> None:
    before = scene.time.read().wall_ms
    scene.do("clock", shift_s="-3600", synced="yes")
    assert scene.time.read().wall_ms < before - 3_500_000
    assert scene.time.read().is_synced
    scene.do("clock", synced="kernel")
    assert scene.time.read().wall_ms >= before


async def test_status_describes_the_door(scene: Scene) -> None:
    assert scene.do("status").door == {"lock": "locked"}


async def test_the_control_socket_answers_line_by_line(scene: Scene, tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve(scene.simulation, tmp_path))
        while not (tmp_path / "control.sock").exists():
            await asyncio.sleep(0)
        assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600
        assert (await ask(tmp_path, SimRequest(do="status"))).door == {"lock": "locked"}
        reader, writer = await asyncio.open_unix_connection(tmp_path / "control.sock")
        writer.write(b'{"do": 1}\n{"do":"link","args":{"state":"cut"}}\n')
        answers = [msgspec.json.decode(await reader.readline(), type=SimAnswer) for _ in range(2)]
        writer.close()
        await writer.wait_closed()
        assert [bool(answer.error) for answer in answers] == [True, False]
        serving.cancel()
    assert not (tmp_path / "control.sock").exists()


def decided(reader: str, outcome: Outcome, reason: Reason) -> DecisionBody:
    return DecisionBody(
        door="North", reader=reader, direction=Direction.IN, kind=CredentialKind.HF_UID, credential="ab" * 16,
        outcome=outcome, reason=reason, receipt=Receipt(dir_epoch="e1", dir_ver=1, rules=1, input=""),
    )  # fmt: skip


async def heard(scene: Scene, request: bytes, *bodies: Body) -> SimAnswer:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(reader.run(scene.events.append)) for reader in scene.readers.values()]
        running.append(tasks.create_task(scene.contact.run(lambda _: None)))
        await settle()
        asked = tasks.create_task(scene.simulation.answer(request))
        await settle()
        for body in bodies:
            scene.simulation.hearing.heard(body)
        answer = await asked
        for task in running:
            task.cancel()
    return answer


TAP = b'{"do":"tap","args":{"uid":"04A1B2C3"},"hear_s":%s}'
CONTACT = b'{"do":"input","args":{"input":"contact","state":"on"},"hear_s":5}'
DENIAL = decided("in", Outcome.DENY, Reason.UNKNOWN_CREDENTIAL)
DENIED = "denied: unknown_credential"
LOCKED_DOWN = ModeBody(door="North", mode=DoorMode.CARD, cause=ModeCause.HOLDER, lockdown=2)


@pytest.mark.parametrize(
    ("request_", "bodies", "said"),
    [
        (TAP % b"5", [DENIAL], DENIED),
        (TAP % b"5", [decided("in", Outcome.GRANT, Reason.MEMBER_VALID), DENIAL], "granted: member_valid"),
        (TAP % b"5", [decided("out", Outcome.GRANT, Reason.MEMBER_VALID), AlarmBody(code="tamper"), DENIAL], DENIED),
        (TAP % b"5", [ReadFaultBody(reader="in", fault="stale")], "not read: stale"),
        (TAP % b"5", [StartedBody(agent="1"), LOCKED_DOWN], "mode: card, lockdown 2"),
        (TAP % b"0.01", [], ""),
        (CONTACT, [DENIAL, DoorBody(door="North", what=DoorChange.OPENED)], "door: opened"),
        (CONTACT, [AlarmBody(code="door_forced")], "alarm: door_forced"),
    ],
)
async def test_whoever_waits_hears_what_was_recorded_of_it(
    scene: Scene, request_: bytes, bodies: list[Body], said: str
) -> None:
    answer = await heard(scene, request_, *bodies)
    assert (answer.error, answer.heard, answer.door) == ("", said, {"lock": "locked"})


async def test_what_could_not_be_done_is_not_waited_for(scene: Scene) -> None:
    answer = await heard(scene, b'{"do":"tap","args":{"uid":"zz"},"hear_s":5}')
    assert "is not hex" in answer.error


async def test_nobody_waits_longer_than_a_client_stays(scene: Scene) -> None:
    assert "not a request" in (await heard(scene, TAP % b"6")).error


async def test_without_an_agent_asking_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await ask(tmp_path, SimRequest(do="status"))


async def test_a_panels_press_is_answered_with_what_was_wrong(scene: Scene) -> None:
    assert await scene.simulation.press(b'{"do":"status"}') == ""
    assert "not a request" in await scene.simulation.press(b"{")


def test_only_a_door_that_is_simulated_throughout_can_be_worked_from_outside() -> None:
    hardware = build(load_profile("simulated"))
    assert set(simulated_readers(hardware.readers) or ()) == {"in", "out"}

    class RealReader(SimReader):
        pass

    real: object = object()
    assert simulated_readers((*hardware.readers, real)) is None  # type: ignore[arg-type]
    hardware.close()
