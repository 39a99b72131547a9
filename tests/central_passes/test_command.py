"""`doorstile pass`, as a script at the desk calls it."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from central.devices.models import Device, Door, Site
from central.directory import versions
from central.directory.models import Member, Membership
from central.passes.command import passes
from central.passes.models import Pass, PassKey

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> Result:
    # The command names its folder in the environment; the runner takes that back, so that no later test meets it.
    env = {"DOORSTILE_DATA": ".", "DOORSTILE_DATABASE_URL": "sqlite:///what-pytest-made"}
    return CliRunner(env=env).invoke(passes, arguments)


def said(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.output, result.exception
    return json.loads(result.output)


@pytest.mark.unit
def test_pass_is_issued_checked_revoked_and_shown(site: Site) -> None:
    made = said("issue", "--site", site.name, "--for", "Walk-in", "--zone", "gym", "--once")
    held = said("verify", "--site", site.name, "--zone", "gym", made["text"])
    assert (held["holds"], held["claims"]["sub"], held["claims"]["once"]) == (True, made["member"], True)
    assert said("verify", "--site", site.name, "--zone", "office", made["text"])["reason"] == "pass_zone"
    assert said("show", made["id"])["text"] == made["text"]
    assert said("revoke", made["id"])["revoked_at"]
    refused = run("verify", "--site", site.name, "--zone", "gym", made["text"])
    assert (refused.exit_code, refused.output.splitlines()[0]) == (1, "does not hold: pass_revoked")
    assert "REVOKED" in run("show", made["id"]).output


@pytest.mark.unit
def test_pass_makes_nobody_a_member_of_the_site(site: Site, member: Member) -> None:
    Membership.objects.all().delete()
    for given in (("--member", str(member.pk)), ("--for", "Walk-in")):
        made = said("issue", "--site", site.name, *given)
        assert said("verify", "--site", site.name, made["text"])["holds"]
    assert not Membership.objects.exists()


@pytest.mark.unit
def test_pass_for_a_member_is_printed_for_people(site: Site, member: Member) -> None:
    result = run("issue", "--site", site.name, "--member", str(member.pk), "--hours", "2")
    made = Pass.objects.get()
    assert result.exit_code == 0
    assert f"{made.pk}   Ann Example, good until" in result.output
    assert "█" in result.output or "▄" in result.output
    assert "holds" in run("verify", "--site", site.name, next(w for w in result.output.split() if "DSP1" in w)).output
    assert run("revoke", str(made.pk)).output == f"{made.pk} is revoked\n"


@pytest.mark.unit
def test_keys_are_made_and_retired(site: Site) -> None:
    first = said("key", "--now")
    assert "signs from" in run("key").output
    assert said("key", "--retire", first["kid"], "--compromised")["retired"]
    assert PassKey.objects.get(pk=first["kid"]).is_revoked


@pytest.mark.unit
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["issue", "--site", "nowhere", "--for", "x"], "no site 'nowhere'; there are: Harbour gym"),
        (["issue", "--site", "Harbour gym"], "give either --for NAME or --member ID"),
        (["issue", "--site", "Harbour gym", "--member", "x"], "'x' is no id"),
        (["issue", "--site", "Harbour gym", "--member", "0" * 32], "no member"),
        (["issue", "--site", "Harbour gym", "--for", "x", "--zone", "a/b"], "no door would accept"),
        (["show", "0" * 32], "no pass"),
        (["verify", "--site", "Harbour gym", "hello"], "no pass; it begins with"),
        (["key", "--retire", "x"], "no key 'x'; there are: none"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence_and_nothing_is_left(site: Site, arguments: list[str], says: str) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert says in result.output
    assert not Pass.objects.exists()
    assert not Member.objects.filter(full_name="x").exists()


def test_verify_tells_people_whose_pass_it_is_and_until_when(site: Site) -> None:
    made = said("issue", "--site", site.name, "--for", "Walk-in", "--hours", "6", "--zone", "gym", "--once")
    told = run("verify", "--site", site.name, "--zone", "gym", made["text"]).output.splitlines()
    until = f"{datetime.fromisoformat(made['ends_at']):%Y-%m-%d %H:%M:%S} UTC"
    assert told[0] == "holds"
    assert told[1:4] == [f"  pass    {made['id']}", f"  site    {site.id}", f"  for     guest {made['member']}"]
    assert told[5:] == [f"  until   {until}", "  zones   gym", "  once    lets in once at each door"]


@pytest.mark.unit
def test_verify_names_the_doors_that_have_not_heard_of_everything(site: Site) -> None:
    made = said("issue", "--site", site.name, "--for", "Walk-in")
    version = versions.of_site(site.pk)
    for name, ver, is_desk in (("Told", 0, False), ("Behind", 1, False), ("Desk", 1, True)):
        Device.objects.create(
            door=Door.objects.create(site=site, name=name), name=name, is_desk=is_desk, sealed_credential_key=b"",
            dir_epoch=version.epoch, dir_ver=version.ver - ver,
        )  # fmt: skip
    assert said("verify", "--site", site.name, made["text"])["behind"] == ["Behind"]
    told = run("verify", "--site", site.name, made["text"]).output.splitlines()
    assert (told[0], told[-1]) == ("holds", "not yet told of everything, so they may say otherwise: Behind")


def test_verb_stands_in_the_help_and_runs_by_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent", "pass", "--data", str(tmp_path), "verify", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Say what a door that is up to date makes of a code." in done.stdout


@pytest.mark.parametrize(
    ("content", "url", "says"),
    [
        (None, "", "no central in {folder} (there is no central.sqlite3 in it); give --data"),
        (b"", "", "the database is empty or of another release: start doorstile central with it once"),
        (b"noise" * 999, "", "no central in {folder} (file is not a database)"),
        (None, "mysql://x", "DOORSTILE_DATABASE_URL has scheme 'mysql'"),
    ],
)
def test_folder_without_a_central_is_said_in_one_sentence_with_what_to_do(
    tmp_path: Path, content: bytes | None, url: str, says: str
) -> None:
    if content is not None:
        (tmp_path / "central.sqlite3").write_bytes(content)
    command = [sys.executable, "-m", "agent", "pass", "--data", str(tmp_path), "issue", "--site", "x", "--for", "y"]
    env = {**os.environ, "DOORSTILE_DATABASE_URL": url}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {says.format(folder=tmp_path)}")
    assert done.stderr.count("\n") == 1
    if content is None and not url:
        assert list(tmp_path.iterdir()) == []
