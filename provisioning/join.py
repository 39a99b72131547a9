"""`doorstile join`: make this device a member of a site. It can be run again after any failure."""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from msgspec.structs import replace

from agent import __version__
from agent.errors import ConfigError, IdentityError
from agent.identity import IDENTITY_FILE, Identity, load_identity, save_identity
from agent.sync.tls import check_pin
from provisioning.enroll import Central, enrol, recognise
from provisioning.errors import ExitCode, ProvisioningError
from provisioning.keys import device_key, fingerprint, forget_pending, private_pem
from wire.enrolment import EnrolAnswer, normalise_code

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

DEFAULT_STATE: Final = Path("/var/lib/doorstile")
_MIN_CODE_CHARS: Final = 6
_KEPT_KEYS: Final = 8
"""Card keys of before that outlast a join: half of what a device bears, so that keys can be changed again."""


@click.command()
@click.option("--central", "url", required=True, metavar="URL", help="Central's address, https://HOST[:PORT].")
@click.option("--code", required=True, help="One-time code, made at central for this door.")
@click.option(
    "--state", type=click.Path(path_type=Path), default=DEFAULT_STATE, show_default=True, help="State folder."
)
@click.option("--ca", type=click.Path(path_type=Path), help="Certificates to trust instead of the system's, PEM.")
@click.option("--pin", help="SHA-256 of central's public key, hex; checked besides the chain.")
@click.option("--profile", default="", help="Hardware profile to tell central.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def join(url: str, code: str, state: Path, ca: Path | None, pin: str | None, profile: str, yes: bool) -> None:
    """Make this device a member of a site.

    Exit codes: 0 ok, 2 usage, 3 network, 4 refused, 5 storage or hardware, 6 clock.
    """
    try:
        _join(url, code, state, ca, pin, profile, asks=sys.stdin.isatty() and not yes)
    except ProvisioningError as failure:
        _fail(failure)
    except ConfigError as failure:
        _fail(ProvisioningError(ExitCode.USAGE, str(failure), "doorstile join --help"))
    except IdentityError as failure:
        _fail(ProvisioningError(ExitCode.HARDWARE, str(failure), f"ls -ld {state}; df {state}"))


def _join(url: str, code: str, state: Path, ca: Path | None, pin: str | None, profile: str, *, asks: bool) -> None:
    if len(normalise_code(code)) < _MIN_CODE_CHARS:
        raise ConfigError(f"code {code!r} is too short; it looks like K7QM-2RXD")
    _check_profile(profile)
    central = Central(url, ca_pem=_read_ca(ca), pin=None if pin is None else check_pin(pin))
    known = _prepare(state)
    central = recognise(central)
    _say("central", f"{central.origin}{'' if central.is_encrypted else ' (this machine, unencrypted)'}")
    key, is_new = device_key(state)
    _say("identity", f"{'new' if is_new else 'same'} Ed25519 key {fingerprint(key)}")
    if asks and not click.confirm(f"Join {central.origin} with this key?", default=True):
        raise ProvisioningError(ExitCode.REFUSED, "stopped; nothing was sent", "doorstile join")
    now_s = int(datetime.now(UTC).timestamp())
    # Events that another central gave an id for are not this one's.
    had = known.device if known is not None and known.central == central.origin else ""
    answer = enrol(central, key, code, now_s=now_s, agent=f"doorstile/{__version__}", profile=profile, device=had)
    identity = _identity_of(central, key, answer)
    save_identity(state, identity if known is None else _continued(identity, known))
    forget_pending(state)
    _say("enrolled", f"{answer.name}, {answer.site}")
    if known is not None:
        _say_of_journal(state, known, answer)
    click.echo(f"{answer.name} has joined. Next: {_next_step(state, profile)}")


def _check_profile(name: str) -> None:
    """Read the profile before anything is sent, as the agent would; raise ConfigError."""
    from hardware.errors import ProfileError
    from hardware.profiles import load_profile

    try:
        if name:
            load_profile(name)
    except ProfileError as fault:
        raise ConfigError(f"--profile: {fault}") from fault


def _continued(identity: Identity, known: Identity) -> Identity:
    """Keep the card keys of before: passes that were used under them stay used."""
    if identity.credential_key == known.credential_key:
        return replace(identity, old_key=known.old_key, retired_keys=known.retired_keys[:_KEPT_KEYS])
    before = [known.credential_key, known.old_key, *known.retired_keys]
    kept = [key for key in before if key not in ("", identity.credential_key)]
    return replace(identity, retired_keys=kept[:_KEPT_KEYS])


def _say_of_journal(state: Path, known: Identity, answer: EnrolAnswer) -> None:
    if known.device == answer.device:
        click.echo("It is the device that it was, and keeps its journal.")
    else:
        aside = f"Move everything but {IDENTITY_FILE} out of {state}, and keep it: events in it may wait for central."
        click.echo(f"It is a new device to central; a journal of {known.device} is not its own. {aside}", err=True)


def _next_step(state: Path, profile: str) -> str:
    """The service works on the default folder only; any other is an agent that somebody starts by hand."""
    if state == DEFAULT_STATE:
        return "sudo systemctl restart doorstile-agent"
    named = ["--profile", profile] if profile else []
    return shlex.join(["doorstile", "run", *named, "--state", str(state)])


def _prepare(state: Path) -> Identity | None:
    """Make the folder, and learn before the code is spent whether an identity can be kept there; return the old one."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as fault:
        raise IdentityError(f"{state} cannot be made ({fault.strerror}); run as root or give --state DIR") from fault
    if (state / IDENTITY_FILE).exists():
        try:
            known = load_identity(state)
        except IdentityError as damage:
            click.echo(f"  {damage}", err=True)
        else:
            click.echo(f"This device is {known.name} at {known.central}; it joins again.")
            return known
    return None


def _read_ca(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(f"--ca {path}: cannot be read ({fault}); give a PEM file") from fault


def _identity_of(central: Central, key: "Ed25519PrivateKey", answer: EnrolAnswer) -> Identity:
    return Identity(
        device=answer.device,
        central=central.origin,
        audience=answer.audience,
        kid=answer.kid,
        private_key=private_pem(key),
        credential_key=answer.credential_key,
        name=answer.name,
        site=answer.site,
        time_zone=answer.time_zone,
        ca_pem=central.ca_pem,
        pin=central.pin,
        directory_key=answer.directory_key,
    )


def _say(step: str, text: str) -> None:
    click.echo(f"  {step:<10} {text:<56} ok")


def _fail(failure: ProvisioningError) -> None:
    click.echo(f"doorstile join: {failure}", err=True)
    click.echo(f"  Try: {failure.remedy}", err=True)
    sys.exit(failure.exit_code)
