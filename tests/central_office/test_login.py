"""Guessing passwords is slow, and keeps nobody else out."""

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from central.config.login import WRONG_ALLOWED, WRONG_ALLOWED_IN_ALL

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

PASSWORD = "a long password"


@pytest.fixture(autouse=True)
def staff() -> Iterator[None]:
    cache.clear()
    for name in ("desk", "chief"):
        User.objects.create_user(name, password=PASSWORD, is_staff=True)
    yield
    cache.clear()


def log_in(user: str, password: str, address: str = "192.0.2.1") -> tuple[int, str]:
    answer = Client(REMOTE_ADDR=address).post("/admin/login/", {"username": user, "password": password})
    return answer.status_code, answer.content.decode()


def test_whoever_was_wrong_too_often_waits_though_right_at_last() -> None:
    for _ in range(WRONG_ALLOWED):
        assert "Too many wrong passwords" not in log_in("desk", "wrong")[1]
    assert "Too many wrong passwords from here. Wait 60 seconds." in log_in("desk", PASSWORD)[1]
    assert "Too many wrong passwords" in log_in("DESK", PASSWORD)[1]


def test_others_log_in_meanwhile() -> None:
    for _ in range(WRONG_ALLOWED):
        log_in("desk", "wrong")
    assert log_in("chief", PASSWORD)[0] == 302
    assert log_in("desk", PASSWORD, "192.0.2.2")[0] == 302


def test_going_through_names_ends_too() -> None:
    for number in range(WRONG_ALLOWED_IN_ALL):
        log_in(f"user-{number}", "wrong")
    assert "Too many wrong passwords" in log_in("chief", PASSWORD)[1]
