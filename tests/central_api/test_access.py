"""Who may call the API: good keys, within their scopes and within what their owners may."""

from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from central.api import keys
from central.api.models import ApiKey, Scope
from central.api.resources import RESOURCES
from tests.central_api.conftest import Caller, check

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

OPERATIONS = [(resource.path, operation) for resource in RESOURCES for operation in resource.operations]
NAMES = [f"{operation.method} {path}" for path, operation in OPERATIONS]


def path_of(path: str) -> str:
    return path.replace("{id}", str(uuid4()))


def refused(caller: Caller, path: str, operation: Any) -> tuple[int, str]:
    answer = caller(operation.method, path_of(path), {} if operation.takes else None)
    return answer.status_code, answer.body["detail"]


@pytest.mark.parametrize(("path", "operation"), OPERATIONS, ids=NAMES)
def test_operation_takes_its_scope_and_its_owners_permissions(path: str, operation: Any) -> None:
    codenames = [permission.partition(".")[2] for permission in operation.permissions]
    everything = Permission.objects.filter(content_type__app_label="directory")
    owner = User.objects.create_user("office")
    owner.user_permissions.set(everything)
    scopes = [scope for scope in Scope if scope != operation.scope]
    lacks_scope = Caller(keys.issue("a", owner, scopes)[0])
    assert refused(lacks_scope, path, operation) == (
        403, f"the key 'a' lacks the scope {operation.scope}; use one that has it",
    )  # fmt: skip
    good = Caller(keys.issue("b", owner, [operation.scope])[0])
    assert good(operation.method, path_of(path), {} if operation.takes else None).status_code not in (401, 403)
    for codename in codenames:
        owner.user_permissions.set(everything.exclude(codename=codename))
        status, detail = refused(good, path, operation)
        assert (status, f"lacks the permission directory.{codename}" in detail) == (403, True)


@pytest.mark.parametrize(("path", "operation"), OPERATIONS, ids=NAMES)
def test_operation_is_closed_without_a_good_key(path: str, operation: Any, owner: User) -> None:
    good, row = keys.issue("office", owner, Scope)
    secret = good.rpartition("_")[2]
    bad = [
        "", "Bearer", "Bearer ", f"Basic {good}", f"Bearer {good}x", f"Bearer {good[:-1]}",
        f"Bearer doorstile_{'0' * 12}_{secret}", f"Bearer doorstile_{row.pk}_{'A' * 43}", f"Bearer {secret}",
    ]  # fmt: skip
    client = Client()
    client.force_login(owner)
    for header in bad:
        answer = client.generic(operation.method, f"/api/v1/{path_of(path)}", headers={"Authorization": header})
        assert answer.status_code == 401, header
        assert answer["WWW-Authenticate"] == 'Bearer realm="doorstile"'
        check(operation.method, path_of(path), answer)


def test_key_that_was_revoked_or_expired_or_whose_owner_left_opens_nothing(owner: User) -> None:
    key, row = keys.issue("office", owner, Scope, expires_at=timezone.now() + timedelta(hours=1))
    caller = Caller(key)
    assert caller("GET", "members").status_code == 200
    row.refresh_from_db()
    assert row.last_used_at is not None
    for change in ({"expires_at": timezone.now()}, {"revoked_at": timezone.now()}):
        ApiKey.objects.update(**change)
        assert caller("GET", "members").status_code == 401
        ApiKey.objects.update(expires_at=None, revoked_at=None)
    User.objects.update(is_active=False)
    assert caller("GET", "members").status_code == 401


def test_secret_of_a_key_is_not_kept(owner: User) -> None:
    key, _ = keys.issue("office", owner, Scope)
    assert key.rpartition("_")[2] not in str(list(ApiKey.objects.values()))


def test_other_methods_are_refused_by_name(call: Caller) -> None:
    answer = call("PUT", f"members/{uuid4()}", {})
    assert (answer.status_code, answer["Allow"]) == (405, "DELETE, GET, PATCH")
    assert answer.body["detail"] == "this address answers to DELETE, GET, PATCH"


@pytest.mark.parametrize(
    ("body", "options", "status", "says"),
    [
        (b"{", {}, 400, "the body is not JSON"),
        (b"\xff", {}, 400, "the body is not JSON"),
        (b'{"full_name": "Ann", "rights": [' + b"[" * 3000, {}, 422, "Expected `str`, got `array`"),
        (b"{}", {"content_type": "text/plain"}, 415, "the body is 'text/plain'; send application/json"),
        (b" " * 70_000, {}, 413, "the body is larger than 65536 bytes"),
        (b" " * 1_100_000, {}, 413, "the body is larger than 1048576 bytes"),
        (b"[]", {}, 422, "Expected `object`, got `array`"),
    ],
)
def test_body_that_is_none_is_refused(
    call: Caller, body: bytes, options: dict[str, Any], status: int, says: str
) -> None:
    answer = call("POST", "members", body, **options)
    assert (answer.status_code, says in answer.body["detail"]) == (status, True), answer.body


def test_description_is_there_for_everybody() -> None:
    answer = Client().get("/api/v1/openapi.json")
    described = answer.json()
    assert (answer.status_code, described["openapi"]) == (200, "3.1.0")
    ids = [
        operation["operationId"] for path in described["paths"].values() for name, operation in path.items()
        if name != "parameters"
    ]  # fmt: skip
    assert len(ids) == len(set(ids)) == len(OPERATIONS)
    assert Client().post("/api/v1/openapi.json").status_code == 405


@pytest.fixture
def chief(admin_client: Client) -> Client:
    return admin_client


def add(client: Client, owner: User, *scopes: str) -> Any:
    form = {"name": "till", "owner": owner.pk, "scopes": scopes}
    return client.post("/admin/api/apikey/add/", form, follow=True)


def test_admin_makes_a_key_and_shows_it_once(chief: Client, owner: User) -> None:
    text = add(chief, owner, "members:read").content.decode()
    row = ApiKey.objects.get()
    start = text.index(f"doorstile_{row.pk}_")
    key = text[start : start + 12 + 10 + 1 + 43]
    assert Caller(key)("GET", "members").status_code == 200
    assert key not in chief.get("/admin/api/apikey/").content.decode()
    assert chief.get(f"/admin/api/apikey/{row.pk}/change/").status_code == 200
    assert chief.post(f"/admin/api/apikey/{row.pk}/change/", {"name": "other"}).status_code == 403
    assert chief.post(f"/admin/api/apikey/{row.pk}/delete/", {"post": "yes"}).status_code == 403


def test_admin_revokes_a_key(chief: Client, owner: User) -> None:
    key, row = keys.issue("office", owner, Scope)
    chief.post("/admin/api/apikey/", {"action": "revoke", "_selected_action": [row.pk]})
    assert Caller(key)("GET", "members").status_code == 401


def test_key_needs_a_scope(chief: Client, owner: User) -> None:
    assert "This field is required" in add(chief, owner).content.decode()


def test_staff_make_keys_for_themselves_alone(owner: User) -> None:
    desk = User.objects.create_user("desk", is_staff=True)
    client = Client()
    client.force_login(desk)
    assert client.get("/admin/api/apikey/add/").status_code == 403
    desk.user_permissions.set(Permission.objects.filter(codename__in=["add_apikey", "view_apikey"]))
    assert "Select a valid choice" in add(client, owner, "members:read").content.decode()
    add(client, desk, "members:read")
    assert ApiKey.objects.get().owner == desk
    client.post("/admin/api/apikey/", {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk]})
    assert ApiKey.objects.get().revoked_at is None


def test_keys_are_hidden_from_strangers(owner: User) -> None:
    stranger = Client()
    stranger.force_login(User.objects.create_user("member"))
    for client in (stranger, Client()):
        for path in ("/admin/api/apikey/", "/admin/api/apikey/add/"):
            assert client.get(path).status_code == client.post(path).status_code == 302


def command(*options: str) -> str:
    out = StringIO()
    call_command("api_key", *options, stdout=out)
    return out.getvalue().strip()


def test_command_makes_and_revokes_a_key(owner: User) -> None:
    key = command("--name", "till", "--owner", "chief", "--scope", "members:read")
    assert Caller(key)("GET", "members").status_code == 200
    key_id = key.split("_")[1]
    assert command("--revoke", key_id) == f"till ({key_id}) is revoked"
    assert Caller(key)("GET", "members").status_code == 401


def test_command_says_what_is_missing(owner: User) -> None:
    for options, says in (
        (["--name", "till", "--owner", "chief"], "--scope is missing"),
        (["--name", "till", "--owner", "nemo", "--scope", "members:read"], "no user 'nemo'; name one who exists"),
        (["--revoke", "0"], "no API key '0'; its id is the part between the underscores"),
    ):
        with pytest.raises(CommandError, match=says):
            command(*options)
