"""Events keep credentials out of logs; closing reaches every output."""

import pytest

from hardware.base import Hardware, Medium, Scan, Signal, Tone, monotonic_ms

pytestmark = pytest.mark.unit


class Output:
    """Light and buzzer in one that records its close and may fail at it."""

    def __init__(self, name: str, closed: list[str], *, fails: bool = False) -> None:
        self._name, self._closed, self._fails = name, closed, fails

    def show(self, signal: Signal) -> None: ...

    def play(self, tone: Tone) -> None: ...

    def close(self) -> None:
        self._closed.append(self._name)
        if self._fails:
            raise OSError(self._name)


def test_repr_of_a_scan_hides_the_credential() -> None:
    scan = Scan("in", Medium.CARD_UID, b"\x04\xa1\xb2\xc3", 1)
    assert "a1" not in repr(scan).lower().replace("data", "")
    assert scan.data == b"\x04\xa1\xb2\xc3"


def test_monotonic_ms_does_not_go_back() -> None:
    assert monotonic_ms() <= monotonic_ms()


def test_close_reaches_every_output_though_one_fails() -> None:
    closed: list[str] = []
    hardware = Hardware((), None, Output("light", closed, fails=True), Output("buzzer", closed))
    with pytest.raises(OSError, match="light"):
        hardware.close()
    assert closed == ["light", "buzzer"]
