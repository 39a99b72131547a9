"""A request that is sent again under the same key has one effect and the same answer."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.utils import timezone

from central.api import audit, idempotency, keys
from central.api.models import KeptAnswer, Scope
from central.directory.models import Member
from tests.central_api.conftest import Caller

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

ANN = {"full_name": "Ann", "external_id": "17"}


def post(call: Caller, body: Any = ANN, key: str = "k1", path: str = "members", method: str = "POST") -> Any:
    return call(method, path, body, headers={"Idempotency-Key": key})


def test_repetition_has_the_same_answer_and_no_effect(call: Caller) -> None:
    first, second = post(call), post(call)
    assert (first.status_code, second.status_code) == (201, 201)
    assert (first.content, first["Location"]) == (second.content, second["Location"])
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert Member.objects.count() == 1


def test_deletion_is_repeated_too(call: Caller) -> None:
    path = f"members/{post(call).body['id']}"
    for _ in range(2):
        assert post(call, None, "k2", path, "DELETE").status_code == 204
    assert call("DELETE", path).status_code == 404


def test_key_of_another_request_is_refused(call: Caller) -> None:
    member = post(call).body["id"]
    for body, path, method in (
        ({**ANN, "full_name": "Bob"}, "members", "POST"),
        ({"is_active": False}, f"members/{member}", "PATCH"),
    ):
        answer = post(call, body, "k1", path, method)
        assert answer.status_code == 422
        assert answer.body["detail"] == (
            "Idempotency-Key 'k1' was used for another request; use a new one for each request"
        )
    assert Member.objects.get().full_name == "Ann"


def test_refused_request_keeps_nothing_and_may_be_mended(call: Caller) -> None:
    assert post(call, {"full_name": ""}).status_code == 422
    assert KeptAnswer.objects.count() == 0
    assert post(call).status_code == 201
    assert post(call, {"full_name": "Bob", "external_id": "17"}, "k2").status_code == 409
    assert KeptAnswer.objects.count() == 1


def test_effect_that_fails_keeps_no_answer(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise IntegrityError("lost a race")

    with monkeypatch.context() as patched:
        patched.setattr(audit, "note", broken)
        answer = post(call)
    assert (answer.status_code, "try again" in answer.body["detail"]) == (409, True)
    assert (Member.objects.count(), KeptAnswer.objects.count()) == (0, 0)
    assert post(call).status_code == 201


def test_keys_of_two_callers_do_not_meet(call: Caller, owner: User) -> None:
    post(call)
    other = Caller(keys.issue("till", owner, Scope)[0])
    assert post(other, {"full_name": "Bob"}).status_code == 201


def test_answers_are_forgotten_after_a_week(call: Caller) -> None:
    post(call, {"full_name": "Ann"})
    KeptAnswer.objects.update(created_at=timezone.now() - idempotency.LIFE - timedelta(minutes=1))
    post(call, {"full_name": "Ann"})
    assert Member.objects.count() == 2
    assert KeptAnswer.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x07b"])
def test_key_that_is_none_is_refused(call: Caller, key: str) -> None:
    answer = post(call, ANN, key)
    assert (answer.status_code, Member.objects.count()) == (400, 0)


def test_what_is_kept_of_a_request_does_not_tell_a_card(call: Caller) -> None:
    member = post(call).body["id"]
    post(call, {"member": member, "kind": "hf_uid", "value": "04A15BC2D3E4E6"}, "k2", "credentials")
    kept = str(list(KeptAnswer.objects.values()))
    assert "04a15bc2d3e4e6" not in kept.lower()


def test_request_without_a_key_is_just_done(call: Caller) -> None:
    for _ in range(2):
        call("POST", "members", {"full_name": "Ann"})
    assert (Member.objects.count(), KeptAnswer.objects.count()) == (2, 0)
