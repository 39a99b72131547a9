"""Another system that calls the API with a key; every answer is held against the API's own description."""

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from django.contrib.auth.models import User
from django.test import Client

from central.api import keys
from central.api.description import description
from central.api.models import Scope
from central.devices.models import Device, Site
from tests.central_ledger.conftest import make_device

_UUID = re.compile(r"(?<=/)[0-9a-f]{8}-[0-9a-f-]{27}")


class Caller:
    """Calls the API with a key, and checks that what comes back is what was promised."""

    def __init__(self, key: str) -> None:
        self.headers = {"Authorization": f"Bearer {key}"}
        self._client = Client()

    def __call__(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **options: Any
    ) -> Any:
        """Send a request; return the response with `json` as an attribute `body`."""
        data = body if isinstance(body, bytes | str) else "" if body is None else json.dumps(body)
        options.setdefault("content_type", "application/json")
        every = {**self.headers, **(headers or {})}
        answer: Any = self._client.generic(method, f"/api/v1/{path}", data, headers=every, **options)
        answer.body = json.loads(answer.content) if answer.content else None
        check(method, path, answer)
        return answer


def check(method: str, path: str, answer: Any) -> None:
    """Hold an answer against the description: its status, its media type, its schema."""
    described = description()
    address = "/" + _UUID.sub("{id}", path.partition("?")[0])
    operation = described["paths"][address].get(method.lower())
    if operation is None:
        assert answer.status_code == 405
        return
    promised = operation["responses"][str(answer.status_code)]
    if "content" not in promised:
        assert answer.content == b""
        return
    schema = promised["content"][answer["Content-Type"]]["schema"]
    checked = json.loads(json.dumps({**schema, "components": described["components"]}))
    jsonschema.Draft202012Validator(checked).validate(json.loads(answer.content))


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.create(name="Harbour gym", time_zone="Europe/Berlin")


@pytest.fixture
def device(site: Site) -> Device:
    return make_device(site, "North door")


@pytest.fixture
def owner(db: None) -> User:
    return User.objects.create_superuser("chief")


@pytest.fixture
def call(owner: User) -> Callable[..., Any]:
    return Caller(keys.issue("office", owner, Scope)[0])
