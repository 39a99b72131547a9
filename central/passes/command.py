"""`doorstile pass`: issue, show, check and revoke passes at central, for the desk's scripts and for outages.

It works on central's database, beside a running server or without one.
"""

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec

import click

if TYPE_CHECKING:
    from central.devices.models import Site
    from central.passes.models import Pass

P = ParamSpec("P")
_DATABASE: Final = "central.sqlite3"

_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@click.group("pass")
@click.option(
    "--data",
    default="var/central",
    show_default=True,
    envvar="DOORSTILE_DATA",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of central's database and secret key.",
)
@click.pass_context
def passes(ctx: click.Context, data: Path) -> None:
    """Issue, show, check and revoke signed passes, at central."""
    ctx.obj = data


def at_central(work: Callable[P, None]) -> Callable[P, None]:
    """Open central's database before a command works, not before it only prints its help."""

    @click.pass_obj
    @functools.wraps(work)
    def opening(data: Path, /, *args: P.args, **kwargs: P.kwargs) -> None:
        has_url = bool(os.environ.get("DOORSTILE_DATABASE_URL"))
        if not has_url and not (data / _DATABASE).is_file():
            raise click.ClickException(_no_central(data, f"there is no {_DATABASE} in it"))
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central.config.settings")
        os.environ["DOORSTILE_DATA"] = str(data)
        with _told(data):
            _open_database()
            work(*args, **kwargs)

    return opening


@contextmanager
def _told(data: Path) -> Iterator[None]:
    """Say in one line what keeps the database from being used, and what to do."""
    from django.core.exceptions import ImproperlyConfigured
    from django.db.utils import DatabaseError

    try:
        yield
    except ImproperlyConfigured as fault:
        raise click.ClickException(str(fault)) from fault
    except (DatabaseError, OSError) as fault:
        raise click.ClickException(_no_central(data, str(fault))) from fault


def _open_database() -> None:
    import django

    django.setup()
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise click.ClickException(
            "the database is empty or of another release: start doorstile central with it once, or run "
            "python -m central.manage migrate"
        )


def _no_central(data: Path, why: str) -> str:
    where = "DOORSTILE_DATABASE_URL" if os.environ.get("DOORSTILE_DATABASE_URL") else data
    said = " ".join(why.split())
    return f"no central in {where} ({said}); give --data or DOORSTILE_DATA its folder, or start one: doorstile central"


@passes.command()
@click.option("--site", "site_name", required=True, help="Name of the site.")
@click.option("--for", "visitor", default="", help="Name of a visitor who is not known yet.")
@click.option("--member", "member_id", default="", help="Id of a member.")
@click.option("--hours", default=12.0, show_default=True, type=click.FloatRange(0, 8784, min_open=True))
@click.option("--zone", "zones", multiple=True, help="A zone that it opens; none: every zone. Can be repeated.")
@click.option("--once", "is_once", is_flag=True, help="Lets in once at each door.")
@_as_json
@at_central
def issue(
    site_name: str,
    visitor: str,
    member_id: str,
    hours: float,
    zones: tuple[str, ...],
    is_once: bool,
    as_json: bool,
) -> None:
    """Issue a pass and print its code.

    The doors need not be told of it, only of the key that signed it: a connected one hears of a new key within seconds.
    """
    from central.passes import issuing
    from wire.vocabulary import HolderKind

    site, now = _site(site_name), datetime.now(UTC)
    ends_at = now + timedelta(hours=hours)

    def made() -> "Pass":
        member = _member(visitor, member_id, ends_at)
        return issuing.issue(
            site, member, starts_at=now, ends_at=ends_at, actor="doorstile pass", now=now,
            holder=HolderKind(member.holder), zones=zones, is_once=is_once,
        )  # fmt: skip

    _tell(_at_once(made), as_json=as_json)


@passes.command()
@click.argument("pass_id")
@_as_json
@at_central
def show(pass_id: str, *, as_json: bool) -> None:
    """Print the code of a pass that was issued."""
    _tell(_pass(pass_id), as_json=as_json)


@passes.command()
@click.argument("pass_id")
@_as_json
@at_central
def revoke(pass_id: str, *, as_json: bool) -> None:
    """Let a pass open nothing more.

    A door that is offline hears of it when it is back.
    """
    from central.passes import issuing

    made = _pass(pass_id)
    issuing.revoke(made, actor="doorstile pass", now=datetime.now(UTC))
    said = {"id": str(made.pk), "revoked_at": made.revoked_at.isoformat() if made.revoked_at else None}
    click.echo(json.dumps(said) if as_json else f"{made.pk} is revoked")


@passes.command()
@click.option("--site", "site_name", required=True, help="Name of the site whose doors are meant.")
@click.option("--zone", default="", help="The zone behind the door.")
@click.argument("text")
@_as_json
@at_central
def verify(site_name: str, zone: str, text: str, *, as_json: bool) -> None:
    """Say what a door that is up to date makes of a code.

    Exits with 1 where it does not hold now. Doors that are behind are named: they may not know its
    key, or that it was revoked. Whether it was used at a door, only that door knows.
    """
    from central.directory.book import items_of
    from central.directory.versions import doors_behind
    from rules.passes import Moment, check, register_of
    from wire.passes import is_pass

    site, raw = _site(site_name), text.strip().encode()
    if not is_pass(raw):
        raise click.ClickException("this is the text of no pass; it begins with DSP1: or DSR1:")
    at = Moment(int(datetime.now(UTC).timestamp() * 1000), is_known=True, zone=zone)
    found = check(raw, register_of(items_of(site)), at, lambda *_: 0).passed
    said: dict[str, Any] = {"holds": found.fault is None, "reason": found.fault, "behind": doors_behind(site.pk)}
    if found.claims is not None:
        said["claims"] = json.loads(_json_of(found.claims))
    click.echo(json.dumps(said) if as_json else _verdict(said))
    if found.fault is not None:
        sys.exit(1)


@passes.command()
@click.option("--now", "at_once", is_flag=True, help="Sign with it at once, also where doors may not know it yet.")
@click.option("--retire", "retired", default="", metavar="KID", help="Let this key sign nothing more.")
@click.option("--compromised", is_flag=True, help="With --retire: its passes open nothing any more.")
@_as_json
@at_central
def key(at_once: bool, retired: str, compromised: bool, as_json: bool) -> None:
    """Make a key that signs passes, or retire one.

    A new key signs once the doors had a week to hear of it.
    """
    from central.passes import keys
    from central.passes.models import PassKey

    now = datetime.now(UTC)
    if retired:
        found = PassKey.objects.filter(pk=retired).first()
        if found is None:
            known = ", ".join(PassKey.objects.values_list("pk", flat=True)) or "none"
            raise click.ClickException(f"no key {retired!r}; there are: {known}")
        keys.retire(found, now, is_revoked=compromised)
    else:
        found = keys.make(now, signs_from=now if at_once else None)
    said = {"kid": found.pk, "signs_from": found.signs_from.isoformat(), "retired": found.retired_at is not None}
    state = "signs nothing more" if found.retired_at else f"signs from {found.signs_from:%Y-%m-%d %H:%M} UTC"
    click.echo(json.dumps(said) if as_json else f"{found.pk} {state}")


def _at_once(work: "Callable[[], Pass]") -> "Pass":
    from django.db import transaction

    from central.passes.issuing import PassRefusedError

    try:
        with transaction.atomic():
            return work()
    except PassRefusedError as refusal:
        raise click.ClickException(str(refusal)) from refusal


def _site(name: str) -> "Site":
    from central.devices.models import Site

    found = Site.objects.filter(name=name).first()
    if found is None:
        known = ", ".join(Site.objects.values_list("name", flat=True)) or "none"
        raise click.ClickException(f"no site {name!r}; there are: {known}")
    return found


def _member(visitor: str, member_id: str, ends_at: datetime) -> Any:
    from central.directory.models import Member
    from wire.vocabulary import HolderKind

    if bool(visitor) == bool(member_id):
        raise click.UsageError("give either --for NAME or --member ID")
    if member_id:
        member = Member.objects.filter(pk=_id(member_id)).first()
        if member is None:
            raise click.ClickException(f"no member {member_id!r}")
    else:
        member = Member.objects.create(full_name=visitor, holder=HolderKind.GUEST.value, valid_to=ends_at)
    return member


def _pass(pass_id: str) -> "Pass":
    from central.passes.models import Pass

    found = Pass.objects.select_related("site", "member", "key").filter(pk=_id(pass_id)).first()
    if found is None:
        raise click.ClickException(f"no pass {pass_id!r}")
    return found


def _id(text: str) -> str:
    from uuid import UUID

    try:
        return str(UUID(text))
    except ValueError as fault:
        raise click.ClickException(f"{text[:80]!r} is no id; take it from the administration") from fault


def _tell(made: "Pass", *, as_json: bool) -> None:
    import segno

    from central.passes import issuing

    text = issuing.text_of(made)
    if as_json:
        said = {"id": str(made.pk), "text": text, "member": str(made.member_id), "ends_at": made.ends_at.isoformat()}
        click.echo(json.dumps({**said, "revoked": made.revoked_at is not None}))
        return
    state = "REVOKED" if made.revoked_at else f"good until {made.ends_at:%Y-%m-%d %H:%M} UTC"
    click.echo(f"{made.pk}   {made.member}, {state}\n\n{text}\n")
    if made.revoked_at is None:
        segno.make_qr(text, error="l", boost_error=False).terminal(compact=True)


def _verdict(said: dict[str, Any]) -> str:
    lines = ["holds" if said["holds"] else f"does not hold: {said['reason']}"]
    claims = said.get("claims", {})
    if claims:
        lines += [f"  {name:<7} {value}" for name, value in _claim_words(claims)]
    if said["behind"]:
        lines.append(_behind_words(said["behind"]))
    return "\n".join(lines)


def _behind_words(doors: list[str]) -> str:
    return f"not yet told of everything, so they may say otherwise: {', '.join(doors)}"


def _claim_words(claims: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a pass says as people read it; its id is what `doorstile pass revoke` takes."""
    from uuid import UUID

    yield "pass", str(UUID(claims["jti"]))
    yield "site", claims["aud"]
    yield "for", f"{claims.get('holder', 'guest')} {claims['sub']}"
    yield "from", _utc(claims["nbf"])
    yield "until", _utc(claims["exp"])
    if claims.get("zones"):
        yield "zones", ", ".join(claims["zones"])
    if claims.get("once"):
        yield "once", "lets in once at each door"


def _utc(unix_s: int) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _json_of(claims: Any) -> bytes:
    import msgspec

    return msgspec.json.encode(claims)
