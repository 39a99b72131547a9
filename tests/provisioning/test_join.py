"""`doorstile join`: every way it can end, and what it leaves behind."""

import socket
import stat
import threading
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from agent.errors import IdentityError
from agent.identity import IDENTITY_FILE, load_identity, save_identity
from provisioning import enroll
from provisioning.errors import ExitCode
from provisioning.join import join
from provisioning.keys import PENDING_KEY_FILE, fingerprint
from tests.fakes.enrolment_server import ANSWER, GOOD_CODE, EnrolmentServer, enrol_properly, enrolment_server
from tests.sync.certificates import Authority, self_signed
from wire.enrolment import ENROL_PATH, EnrolRefusal, EnrolRefused, EnrolRequest

pytestmark = pytest.mark.service


def run(url: str, state: Path, *options: str, code: str = "k7qm-2rxd") -> Result:
    arguments = ["--central", url, "--code", code, "--state", str(state), "--yes", *options]
    return CliRunner().invoke(join, arguments)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def test_device_joins_and_keeps_its_identity(tmp_path: Path) -> None:
    with enrolment_server() as server:
        result = run(server.url, tmp_path / "state")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "North door has joined" in result.output
    identity = load_identity(tmp_path / "state")
    assert (identity.device, identity.central, identity.audience) == (ANSWER.device, server.url, ANSWER.audience)
    assert fingerprint(identity.signing_key) in result.output
    assert server.paths == [ENROL_PATH]


@pytest.mark.parametrize(("options", "named"), [((), ""), (("--profile", "simulated"), "--profile simulated ")])
def test_next_step_is_the_agent_on_that_very_folder(tmp_path: Path, options: tuple[str, ...], named: str) -> None:
    with enrolment_server() as server:
        result = run(server.url, tmp_path, *options)
    assert result.output.endswith(f"Next: doorstile run {named}--state {tmp_path}\n")


def test_next_step_on_the_default_folder_is_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.join.DEFAULT_STATE", tmp_path)
    with enrolment_server() as server:
        result = run(server.url, tmp_path)
    assert result.output.endswith("Next: sudo systemctl restart doorstile-agent\n")


def test_proof_binds_key_code_and_central(tmp_path: Path) -> None:
    with enrolment_server() as server:
        run(server.url, tmp_path)
        claims = server.proof_claims()
    assert claims["aud"] == server.url
    assert len(str(claims["code"])) == 64
    assert server.requests[0].code == GOOD_CODE


def test_private_key_never_leaves_and_nothing_else_stays(tmp_path: Path) -> None:
    with enrolment_server() as server:
        run(server.url, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [IDENTITY_FILE]
    assert stat.S_IMODE((tmp_path / IDENTITY_FILE).stat().st_mode) == 0o600
    assert "PRIVATE" not in msgspec.json.encode(server.requests[0]).decode()


def test_refused_code_is_told_and_the_next_try_uses_the_same_key(tmp_path: Path) -> None:
    with enrolment_server() as server:
        refused = run(server.url, tmp_path, code="WRONGCODE")
        again = run(server.url, tmp_path)
    assert refused.exit_code == ExitCode.REFUSED
    assert "no such code" in refused.stderr
    assert "Try: " in refused.stderr
    assert again.exit_code == 0
    assert "same Ed25519 key" in again.output
    assert len({request.public_key for request in server.requests}) == 1


def test_device_that_has_joined_joins_again_with_its_key(tmp_path: Path) -> None:
    with enrolment_server() as server:
        run(server.url, tmp_path)
        again = run(server.url, tmp_path)
    assert "joins again" in again.output
    assert "keeps its journal" in again.output
    assert len({request.public_key for request in server.requests}) == 1
    assert [request.device for request in server.requests] == ["", ANSWER.device]


def test_card_keys_of_before_are_kept_so_that_used_passes_stay_used(tmp_path: Path) -> None:
    with enrolment_server() as server:
        run(server.url, tmp_path)
        save_identity(tmp_path, replace(load_identity(tmp_path), old_key="11" * 32, retired_keys=["22" * 32]))
        run(server.url, tmp_path)
        same = load_identity(tmp_path)
        server.reply = lambda _request: (201, msgspec.json.encode(replace(ANSWER, credential_key="33" * 32)))
        run(server.url, tmp_path)
    new = load_identity(tmp_path)
    assert (same.credential_key, same.old_key, same.retired_keys) == ("00" * 32, "11" * 32, ["22" * 32])
    assert (new.credential_key, new.old_key) == ("33" * 32, "")
    assert new.retired_keys == ["00" * 32, "11" * 32, "22" * 32]


def test_id_that_another_central_gave_is_told_to_nobody(tmp_path: Path) -> None:
    with enrolment_server() as first, enrolment_server() as second:
        run(first.url, tmp_path)
        run(second.url, tmp_path)
    assert second.requests[0].device == ""


def test_new_id_is_told_with_what_to_do_about_the_journal(tmp_path: Path) -> None:
    with enrolment_server() as server:
        run(server.url, tmp_path)
        server.reply = lambda _request: (201, msgspec.json.encode(replace(ANSWER, device="another")))
        again = run(server.url, tmp_path)
    assert again.exit_code == 0
    assert f"Move everything but {IDENTITY_FILE}" in again.stderr
    assert "keeps its journal" not in again.output


def test_damaged_identity_does_not_stop_a_join(tmp_path: Path) -> None:
    (tmp_path / IDENTITY_FILE).write_text("{")
    with enrolment_server() as server:
        result = run(server.url, tmp_path)
    assert result.exit_code == 0
    assert "damaged" in result.stderr


def test_lost_answer_spends_nothing(tmp_path: Path) -> None:
    with enrolment_server() as server:
        server.reply = lambda _request: (201, b"")
        lost = run(server.url, tmp_path)
        server.reply = enrol_properly
        again = run(server.url, tmp_path)
    assert (lost.exit_code, again.exit_code) == (ExitCode.NETWORK, 0)
    assert len({request.public_key for request in server.requests}) == 1


@pytest.mark.parametrize("status", [200, 301, 302, 307, 401, 404, 500, 503])
def test_server_that_is_no_central_is_named(tmp_path: Path, status: int) -> None:
    with enrolment_server() as server:
        server.reply = lambda _request: (status, b"<html>log in</html>")
        result = run(server.url, tmp_path)
    assert result.exit_code == ExitCode.NETWORK
    assert "no Doorstile central" in result.stderr
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [201, 403])
@pytest.mark.parametrize("body", [b'{"error":"\xff"}', b'{"x":' + b"[" * 5000])
def test_answer_that_is_no_text_or_nests_too_deep_is_no_central(tmp_path: Path, status: int, body: bytes) -> None:
    with enrolment_server() as server:
        server.reply = lambda _request: (status, body)
        result = run(server.url, tmp_path)
    assert result.exit_code == ExitCode.NETWORK
    assert "no Doorstile central" in result.stderr


def test_busy_central_is_worth_another_try(tmp_path: Path) -> None:
    def busy(_request: EnrolRequest) -> tuple[int, bytes]:
        return 429, msgspec.json.encode(EnrolRefusal(EnrolRefused.BUSY, "try again in a minute"))

    with enrolment_server() as server:
        server.reply = busy
        assert run(server.url, tmp_path).exit_code == ExitCode.NETWORK


def test_endless_answer_is_cut_short(tmp_path: Path) -> None:
    with enrolment_server() as server:
        server.reply = lambda _request: (201, b"x" * 10_000_000)
        assert run(server.url, tmp_path).exit_code == ExitCode.NETWORK


def test_closed_port_is_a_network_failure(tmp_path: Path) -> None:
    with enrolment_server() as server:
        url = server.url
    result = run(url, tmp_path)
    assert (result.exit_code, "nothing listens" in result.stderr) == (ExitCode.NETWORK, True)
    assert "Try: start central, or check the port in --central" in result.stderr


def test_unknown_name_is_a_network_failure(tmp_path: Path) -> None:
    result = run("https://central.invalid", tmp_path)
    assert (result.exit_code, "cannot be resolved" in result.stderr) == (ExitCode.NETWORK, True)


def test_central_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enroll, "TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = run(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
    assert (result.exit_code, "did not answer" in result.stderr) == (ExitCode.NETWORK, True)


def test_central_that_drips_its_answer_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enroll, "DEADLINE_S", 0.3)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as dripping:

        def drip() -> None:
            for _ in range(2):
                connection, _ = dripping.accept()
                with connection:
                    while not over.wait(0.02):
                        try:
                            connection.sendall(b"H")
                        except OSError:
                            break

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        result = run(f"http://127.0.0.1:{dripping.getsockname()[1]}", tmp_path)
        over.set()
        thread.join(5.0)
    assert result.exit_code == ExitCode.NETWORK


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("http://central.example.org", (), "unencrypted"),
        ("central.example.org", (), "https://HOST"),
        ("https://central.example.org", ("--pin", "abc"), "64 hex digits"),
        ("https://central.example.org", ("--ca", "/nonexistent/ca.pem"), "--ca"),
    ],
)
def test_wrong_usage_sends_nothing(tmp_path: Path, url: str, options: tuple[str, ...], said: str) -> None:
    result = run(url, tmp_path, *options)
    assert (result.exit_code, said in result.stderr) == (ExitCode.USAGE, True)


def test_code_that_cannot_be_one_is_wrong_usage(tmp_path: Path) -> None:
    assert run("https://central.example.org", tmp_path, code="12").exit_code == ExitCode.USAGE


def test_missing_options_are_wrong_usage() -> None:
    assert CliRunner().invoke(join, []).exit_code == ExitCode.USAGE


def test_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with enrolment_server() as server:
        result = run(server.url, tmp_path / "file" / "state")
    assert (result.exit_code, server.requests) == (ExitCode.HARDWARE, [])


def test_damaged_pending_key_is_told(tmp_path: Path) -> None:
    (tmp_path / PENDING_KEY_FILE).write_text("nonsense")
    with enrolment_server() as server:
        result = run(server.url, tmp_path)
    assert (result.exit_code, server.requests) == (ExitCode.HARDWARE, [])


def _secure(
    authority: Authority, folder: Path, *options: str, host: str = "localhost", begins: int = -1, ends: int = 1
) -> tuple[Result, EnrolmentServer]:
    ca = folder / "ca.pem"
    ca.write_text(authority.pem)
    leaf = authority.leaf(host, begins_in_days=begins, ends_in_days=ends)
    with enrolment_server(leaf.context(folder)) as server:
        pins = tuple(leaf.pin if option == "PIN" else option for option in options)
        return run(server.url, folder / "state", "--ca", str(ca), *pins), server


def test_code_goes_to_a_central_that_the_given_authority_vouches_for(authority: Authority, tmp_path: Path) -> None:
    result, _ = _secure(authority, tmp_path, "--pin", "PIN")
    assert result.exit_code == 0
    identity = load_identity(tmp_path / "state")
    assert identity.ca_pem == authority.pem
    assert identity.pin is not None


def test_wrong_host_gets_no_code(authority: Authority, tmp_path: Path) -> None:
    result, server = _secure(authority, tmp_path, host="elsewhere.example")
    assert (result.exit_code, server.requests) == (ExitCode.NETWORK, [])


def test_wrong_pin_gets_no_code(authority: Authority, tmp_path: Path) -> None:
    result, server = _secure(authority, tmp_path, "--pin", "00" * 32)
    assert (result.exit_code, "pinned" in result.stderr, server.requests) == (ExitCode.NETWORK, True, [])


def test_certificate_from_the_future_points_at_the_clock(authority: Authority, tmp_path: Path) -> None:
    result, server = _secure(authority, tmp_path, begins=1, ends=2)
    assert (result.exit_code, "timedatectl" in result.stderr, server.requests) == (ExitCode.CLOCK, True, [])


def test_clock_that_was_never_set_does_not_matter_with_a_pin(authority: Authority, tmp_path: Path) -> None:
    assert _secure(authority, tmp_path, "--pin", "PIN", begins=1, ends=2)[0].exit_code == 0


def test_expired_certificate_gets_no_code(authority: Authority, tmp_path: Path) -> None:
    result, server = _secure(authority, tmp_path, begins=-3, ends=-1)
    assert (result.exit_code, server.requests) == (ExitCode.NETWORK, [])


def test_self_signed_central_is_taken_over_by_its_pin(tmp_path: Path) -> None:
    leaf = self_signed()
    with enrolment_server(leaf.context(tmp_path)) as server:
        refused = run(server.url, tmp_path / "state")
        wrong = run(server.url, tmp_path / "state", "--pin", "00" * 32)
        right = run(server.url, tmp_path / "state", "--pin", leaf.pin)
    assert (refused.exit_code, wrong.exit_code, right.exit_code) == (ExitCode.NETWORK, ExitCode.NETWORK, 0)
    assert load_identity(tmp_path / "state").ca_pem == leaf.pem
    assert len(server.requests) == 1


def test_plain_server_behind_https_is_named(tmp_path: Path) -> None:
    with enrolment_server() as server:
        result = run(server.url.replace("http:", "https:").replace("127.0.0.1", "localhost"), tmp_path)
    assert (result.exit_code, server.requests) == (ExitCode.NETWORK, [])


def test_profile_that_there_is_not_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with enrolment_server() as server:
        refused = run(server.url, tmp_path, "--profile", "nonsuch")
        assert server.requests == []
    assert refused.exit_code == ExitCode.USAGE
    assert "--profile: profile 'nonsuch' is not shipped" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_remedy_of_a_folder_that_has_not_joined_names_it(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match=f"join --central URL --code CODE --state {tmp_path}`"):
        load_identity(tmp_path)
