"""Users from the command line: those of the desk may do what the desk does, and a command that made nobody fails."""

from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.test import Client

from central.devices.models import Site

pytestmark = [pytest.mark.unit, pytest.mark.django_db]

GOOD = "correct horse battery"


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_PASSWORD", GOOD)


def make(name: str = "ines") -> str:
    out = StringIO()
    call_command("desk_user", name, stdout=out)
    return out.getvalue()


def test_desk_user_logs_in_and_may_do_what_the_desk_does(site: Site, client: Client) -> None:
    assert make() == "ines may log in and is in the group Desk\n"
    assert client.login(username="ines", password=GOOD)
    user = User.objects.get()
    assert user.is_staff
    assert not user.is_superuser
    for right in ("devices.add_command", "passes.add_pass", "directory.change_credential", "directory.view_credential"):
        assert user.has_perm(right), right
    for right in ("devices.change_site", "devices.delete_device", "directory.change_member", "auth.change_user"):
        assert not user.has_perm(right), right
    assert [client.get(page).status_code for page in ("/", "/passes/", "/admin/directory/member/")] == [200] * 3


def test_group_stays_as_an_administrator_made_it() -> None:
    make()
    Group.objects.get().permissions.clear()
    assert make() == "ines keeps the password and is in the group Desk\n"
    make("jorge")
    assert not Group.objects.get().permissions.exists()
    assert User.objects.count() == 2


@pytest.mark.parametrize(("name", "given"), [("ines", "12345"), ("in es", GOOD), ("", GOOD), ("x" * 151, GOOD)])
def test_bad_name_or_password_makes_nobody(name: str, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTILE_PASSWORD", given)
    with pytest.raises(CommandError):
        make(name)
    assert not User.objects.exists()
    assert not Group.objects.exists()


@pytest.mark.parametrize("command", [("desk_user", "ines"), ("createsuperuser",)])
def test_without_a_terminal_and_a_password_the_command_fails(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOORSTILE_PASSWORD")
    monkeypatch.setattr("sys.stdin", StringIO())
    with pytest.raises(CommandError, match="no terminal to ask"):
        call_command(*command)
    assert not User.objects.exists()


@pytest.mark.parametrize(("again", "is_made"), [(GOOD, True), ("another", False)])
def test_password_is_asked_for_twice_on_a_terminal(again: str, is_made: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    typed = iter([GOOD, again])
    monkeypatch.delenv("DOORSTILE_PASSWORD")
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(typed))
    if is_made:
        make()
    else:
        with pytest.raises(CommandError, match="not the same"):
            make()
    assert User.objects.exists() is is_made


def test_superuser_is_made_without_a_terminal_where_all_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", GOOD)
    words = ("--no-input", "--username", "root", "--email", "root@example.org")
    call_command("createsuperuser", *words, stdout=StringIO())
    assert User.objects.get().is_superuser
