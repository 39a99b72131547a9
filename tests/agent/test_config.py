from pathlib import Path

import pytest

from agent.config import Config, load_config, parse_config
from agent.errors import ConfigError

pytestmark = pytest.mark.unit


def test_an_empty_file_is_a_whole_configuration() -> None:
    assert parse_config("") == Config()


def test_every_table_can_be_set() -> None:
    config = parse_config('state = "/x"\n[door]\nhold_off_s = 1\n[kiosk]\nenabled = false\n')
    assert (config.state_folder, config.door.hold_off_s, config.kiosk.enabled) == (Path("/x"), 1.0, False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stat = 1", ["stat: unknown key"]),
        ("[door]\nholdoff = 1", ["door.holdoff: unknown key"]),
        ('[kiosk]\nport = "80"', ["kiosk.port", "'80'", "correct the value"]),
        ("[kiosk]\nport = 70000", ["kiosk.port", "70000"]),
        ("[door]\nhold_off_s = -1", ["door.hold_off_s", "-1"]),
        ('log_level = "loud"', ["log_level", "'loud'"]),
        ("[door", ["not valid TOML"]),
        ("a = " + "[" * 2000, ["not valid TOML"]),
        ("a = " + "1" * 5000, ["not valid TOML"]),
        ("[kiosk]\nport = 0x" + "f" * 5000, ["kiosk.port", "too long to show"]),
        ('state = "/x\\u0000y"', ["state"]),
    ],
)
def test_an_error_names_key_value_and_remedy(text: str, says: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, source="/etc/x.toml")
    for part in ["/etc/x.toml", *says]:
        assert part in str(caught.value)


@pytest.mark.parametrize("text", [f'log_level = "{"x" * 10_000}"', f"{'x' * 10_000} = 1", f"door.{'x' * 10_000} = 1"])
def test_an_error_about_a_huge_value_or_key_stays_short(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert len(str(caught.value)) < 500


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read"):
        load_config(tmp_path / "none.toml")


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text('profile = "acr122u-relay"')
    assert load_config(path).profile == "acr122u-relay"


def test_without_a_file_the_defaults_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("agent.config.DEFAULT_PATH", tmp_path / "agent.toml")
    assert load_config(None) == Config()
    (tmp_path / "agent.toml").write_text('state = "/y"')
    assert load_config(None).state == "/y"


def test_a_device_without_a_profile_does_not_guess_one() -> None:
    with pytest.raises(ConfigError, match="profile: not named"):
        _ = Config().named_profile
    assert Config(profile="simulated").named_profile == "simulated"
