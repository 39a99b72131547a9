"""`doorstile hardware test`: does it read, does it open, is every contact seen."""

import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, Final, NoReturn, ParamSpec, TypeVar

import click
import msgspec

from agent.commands.wrapping import wrapped
from agent.config import Config, load_config, overridden
from hardware import factory, trial
from hardware.base import Hardware, InputChange, ReaderEvent, ReaderFault, Removed, Scan
from hardware.errors import HardwareError
from hardware.profiles import Profile, SimulatedInput, SimulatedReader, load_profile, outputs_only, sensing_only

Answer = TypeVar("Answer")
P = ParamSpec("P")

_SIMULATED: Final = (SimulatedReader, SimulatedInput)
_SIM_HINT: Final = "For those of a running agent: doorstile sim"
_AGENT_HINT: Final = "; a running agent holds its hardware: systemctl stop doorstile-agent"


class HardwareFault(click.ClickException):
    """Hardware is at fault."""

    exit_code = 5


@dataclass(frozen=True, slots=True)
class Named:
    """What the command line says of the profile; it is read when a command works, so that help needs none."""

    config: Path | None
    profile: str | None
    state: Path | None = None

    def settings(self) -> Config:
        """Read the configuration; raise ConfigError where it is of no use."""
        return overridden(load_config(self.config), state=self.state, profile=self.profile, kiosk_port=None)

    def loaded(self) -> Profile:
        """Read the profile; raise HardwareFault or ConfigError where it is of no use."""
        try:
            return load_profile(self.settings().named_profile)
        except HardwareError as error:
            raise HardwareFault(str(error)) from error


def with_profile(work: Callable[Concatenate[Profile, P], None]) -> Callable[P, None]:
    """Hand the profile to a command when it is called."""

    @click.pass_obj
    @functools.wraps(work)
    def loading(named: Named, /, *args: P.args, **kwargs: P.kwargs) -> None:
        work(named.loaded(), *args, **kwargs)

    return loading


class Noticed(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event of `watch --json`; `read` is masked."""

    at_mono_ms: int
    source: str
    read: str = ""
    length: int = 0
    fault: str = ""
    role: str = ""
    is_active: bool | None = None
    detail: str = ""


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `test ... --json` prints."""

    test: str
    passed: bool
    detail: str
    seen: dict[str, list[str]] = {}


def tell_of_own_people(profile: Profile) -> None:
    """Say that nobody works the simulated parts of this command: `doorstile sim` reaches those of an agent."""
    simulated = [part.name for part in (*profile.readers, *profile.inputs) if isinstance(part, _SIMULATED)]
    if simulated:
        told = f"simulated, and nobody works them here: {', '.join(simulated)}. {_SIM_HINT}"
        click.echo("\n".join(wrapped(told)), err=True)


def needs_no_answer(as_json: bool, options: str, *, is_answered: bool) -> None:
    """Refuse to ask where nobody is there to answer, and something reads JSON."""
    if as_json and not is_answered and not sys.stdin.isatty():
        raise click.UsageError(f"--json without a terminal asks nobody; it needs {options}")


@click.group()
def test() -> None:
    """Try one kind of hardware out; stop the agent first.

    Exits with 0 where it works, with 5 where it does not.
    """


@test.command("reader")
@click.argument("name", required=False)
@click.option("--timeout-s", type=click.FloatRange(min=0), default=30.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@with_profile
def test_reader(profile: Profile, name: str | None, timeout_s: float, as_json: bool) -> None:
    """Wait for a card or a code at a reader (any reader, without NAME)."""
    if name is not None:
        known(name, [part.name for part in profile.readers], "reader")
    tell_of_own_people(profile)
    _say(as_json, f"Tap any card or show a code at {name or 'any reader'}…")
    faults: list[str] = []

    def note(event: ReaderEvent) -> None:
        if isinstance(event, ReaderFault):
            faults.append(event.reason)
            _say(as_json, line_of(notice(event)))

    things = built(sensing_only(profile))
    try:
        scan = run(trial.first_read(things, name, timeout_s=timeout_s, heard=note))
    finally:
        things.close()
    if scan is None:
        said = f"; it said {', '.join(faults)}" if faults else ""
        ended(as_json, Result("reader", passed=False, detail=f"no read within {timeout_s:g} s{said}"))
    else:
        detail = f"{scan.reader} read {trial.masked(scan)}" + (f" ({scan.detail})" if scan.detail else "")
        ended(as_json, Result("reader", passed=True, detail=detail))


@test.command("signals")
@click.option("--each-s", type=click.FloatRange(min=0), default=1.0, show_default=True, help="For how long each.")
@click.option("--seen", type=click.Choice(["yes", "no"]), help="Whether they came as named, instead of asking.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@with_profile
def test_signals(profile: Profile, each_s: float, seen: str | None, as_json: bool) -> None:
    """Show every light and play every tone.

    Asks whether they came as named. The lock is left alone.
    """
    needs_no_answer(as_json, "--seen yes or no", is_answered=seen is not None)
    things = built(msgspec.structs.replace(outputs_only(profile), strike=None, turnstile=None, interlock=None))
    try:
        run(trial.parade(things, each_s=each_s, announce=lambda what: _say(as_json, what)))
    finally:
        things.close()
    told = seen or ("yes" if click.confirm("Did each come as it was named?", err=True) else "no")
    ended(as_json, Result("signals", passed=told == "yes", detail=f"seen: {told}"))


@test.command("inputs")
@click.option("--input", "names", multiple=True, help="Only this one; may be given more than once.")
@click.option("--timeout-s", type=click.FloatRange(min=0), default=60.0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@with_profile
def test_inputs(profile: Profile, names: tuple[str, ...], timeout_s: float, as_json: bool) -> None:
    """See every input become active and inactive.

    Open the door, press the button: both edges have to be seen.
    """
    every = [part.name for part in profile.inputs]
    for name in names:
        known(name, every, "input")
    wanted = names or tuple(every)
    if not wanted:
        raise HardwareFault(f"profile {profile.name!r} has no inputs; there is nothing to try")
    tell_of_own_people(profile)
    _say(as_json, f"Work each of {', '.join(wanted)}: on and off again…")
    things = built(sensing_only(profile))
    try:
        edges = run(
            trial.both_edges(
                things, wanted, timeout_s=timeout_s, heard=lambda change: _say(as_json, line_of(notice(change)))
            )
        )
    finally:
        things.close()
    short = [name for name in wanted if len(edges[name]) < 2]
    detail = f"not seen both ways within {timeout_s:g} s: {', '.join(short)}" if short else "all seen both ways"
    seen = {name: ["active" if edge else "inactive" for edge in sorted(edges[name])] for name in wanted}
    ended(as_json, Result("inputs", passed=not short, detail=detail, seen=seen))


def known(name: str, names: list[str], kind: str) -> None:
    """Refuse a name that the profile lacks."""
    if name not in names:
        raise click.UsageError(f"no {kind} {name!r}; the profile has {', '.join(names) or 'none'}")


def _say(as_json: bool, text: str) -> None:
    if not as_json:
        click.echo(text)


def ended(as_json: bool, result: Result) -> None:
    """Print a result and exit as it says."""
    if as_json:
        click.echo(msgspec.json.encode(result).decode())
    else:
        click.echo(f"{result.test}: {'ok' if result.passed else 'failed'}, {result.detail}")
    if not result.passed:
        sys.exit(HardwareFault.exit_code)


def built(profile: Profile) -> Hardware:
    """Construct what a profile names; a fault becomes one line."""
    try:
        return factory.build(profile)
    except HardwareError as error:
        _fail(error)


def run(work: "Awaitable[Answer]") -> Answer:
    """Run to the end; a driver's fault becomes one line."""

    async def whole() -> Answer:
        return await work

    try:
        return asyncio.run(whole())
    except HardwareError as error:
        _fail(error)
    except BaseExceptionGroup as group:
        faults = group.subgroup(HardwareError)
        if faults is None:
            raise
        _fail(_first(faults))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _fail(error: BaseException) -> NoReturn:
    raise HardwareFault(f"{error}{_AGENT_HINT}") from error


def notice(event: ReaderEvent | InputChange) -> Noticed:
    """Put an event into one line of JSON, masked."""
    match event:
        case Scan():
            read, length = trial.masked(event), len(event.data)
            return Noticed(event.at_mono_ms, event.reader, read=read, length=length, detail=event.detail)
        case Removed():
            return Noticed(event.at_mono_ms, event.reader, detail="lifted")
        case ReaderFault():
            return Noticed(event.at_mono_ms, event.reader, fault=event.reason, detail=event.detail)
        case InputChange():
            return Noticed(event.at_mono_ms, event.input, role=event.role, is_active=event.is_active)


def line_of(noticed: Noticed) -> str:
    """Put it into one line of text."""
    what = noticed.read or noticed.fault
    if noticed.is_active is not None:
        what = f"{noticed.role} {'active' if noticed.is_active else 'inactive'}"
    return f"{noticed.at_mono_ms / 1000:12.3f}  {noticed.source:<16} {' '.join(filter(None, (what, noticed.detail)))}"
