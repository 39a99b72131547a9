"""A missing pcscd is a skip on a laptop and a failure in CI."""

from pathlib import Path

import pytest

from tests.services import pcscd

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def no_pcscd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pcscd, "PCSCD", str(tmp_path / "pcscd"))
    monkeypatch.setattr(pcscd, "DRIVER", tmp_path / "libifdvpcd.so")


def test_missing_pcscd_skips_with_the_packages_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt install pcscd vsmartcard-vpcd"):
        pcscd.need_pcscd()


def test_missing_pcscd_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt install pcscd vsmartcard-vpcd"):
        pcscd.need_pcscd()
