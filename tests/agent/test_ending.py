"""How the agent ends: the lines are off first, and where they are not the keeper has its say."""

from pathlib import Path
from typing import NoReturn

import pytest

from agent import app
from agent.config import Config
from agent.errors import StoreError
from hardware.base import Hardware
from hardware.errors import HardwareError
from hardware.keeper import Keeper
from hardware.outputs.absent import NoBuzzer, NoLight
from hardware.sim import SimStrike

pytestmark = pytest.mark.unit


class StuckStrike(SimStrike):
    def close(self) -> None:
        raise HardwareError("strike: cannot be switched off")


class Watchman:
    """Stands for the keeper."""

    is_dismissed = False

    def dismiss(self) -> None:
        self.is_dismissed = True


def no_stores(config: Config, identity: object) -> NoReturn:
    raise StoreError("the journal cannot be opened")


@pytest.mark.parametrize(("strike", "is_dismissed"), [(SimStrike, True), (StuckStrike, False)])
async def test_keeper_is_dismissed_only_once_the_lines_are_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, strike: type[SimStrike], is_dismissed: bool
) -> None:
    keeper = Watchman()
    hardware = Hardware((), strike(ceiling_s=8), NoLight(), NoBuzzer())
    monkeypatch.setattr(app, "load_identity", lambda folder: None)
    monkeypatch.setattr(app, "_stores", no_stores)
    monkeypatch.setattr(app, "_hardware", lambda profile: (hardware, ""))
    monkeypatch.setattr(Keeper, "over", lambda profile, reports: keeper)
    with pytest.raises((StoreError, HardwareError)):
        await app.work(Config(state=str(tmp_path), profile="simulated"))
    assert keeper.is_dismissed is is_dismissed
