"""A typed face for the few functions of pyscard's ``smartcard.scard`` that we use.

pyscard returns ``[code, value, ...]`` and never raises; here every code but success is a ScardError. Codes and the
state word are those of the PC/SC workgroup, part 5, as pcsc-lite defines them in ``pcsclite.h``.
"""

from collections.abc import Mapping
from typing import Final, Self

from smartcard import scard

from hardware.readers.usb_sockets import usb_address

PRESENT: Final[int] = scard.SCARD_STATE_PRESENT
LOST: Final[int] = scard.SCARD_STATE_UNKNOWN | scard.SCARD_STATE_UNAVAILABLE | scard.SCARD_STATE_IGNORE
"""Any of these in a state word: the daemon cannot speak for this reader now."""
GET_UID: Final = bytes.fromhex("FFCA000000")
"""GET DATA, UID, full length (PC/SC part 3, section 3.2.2.1.3)."""

ESCAPE: Final[int] = scard.SCARD_CTL_CODE(3500)
"""CM_IOCTL_CCID_ESCAPE: to the reader itself, card or not (CCID 1.1, section 6.1.8; libccid's SCARDGETATTRIB.txt)."""

_SUCCESS: Final[int] = scard.SCARD_S_SUCCESS
_ANY_PROTOCOL: Final[int] = scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
_READER_GONE: Final = frozenset(
    {scard.SCARD_E_UNKNOWN_READER, scard.SCARD_E_READER_UNAVAILABLE, scard.SCARD_E_NO_READERS_AVAILABLE}
)


class ScardError(Exception):
    """A PC/SC call failed. ``str`` is pcsc-lite's text and the code in hex."""

    def __init__(self, call: str, code: int) -> None:
        super().__init__(f"{call}: {scard.SCardGetErrorMessage(code)} (0x{code & 0xFFFFFFFF:08X})")
        self.code = code


class ReaderGoneError(ScardError):
    """The named reader is not there (any more); the service is."""


class Context:
    """A session with the PC/SC daemon. Use it in one thread and within a ``with``."""

    def __init__(self) -> None:
        self._atrs: dict[str, bytes] = {}
        code, self._handle = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
        _check("SCardEstablishContext", code)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Release; the code is ignored, for a daemon that is gone has nothing to release."""
        scard.SCardReleaseContext(self._handle)

    def reader_names(self) -> list[str]:
        """Every reader by its PC/SC name, in the daemon's order; empty without readers."""
        code, names = scard.SCardListReaders(self._handle, [])
        if code == scard.SCARD_E_NO_READERS_AVAILABLE:
            return []
        _check("SCardListReaders", code)
        return list(names)

    def wait_for_change(self, known: Mapping[str, int], timeout_ms: int) -> dict[str, int]:
        """Block until a reader's state differs from the ``known`` state word, 0 for "not known yet".

        Returns the state words, unchanged ones among them, also when the time is up. ReaderGoneError if one vanished.
        """
        code, states = scard.SCardGetStatusChange(self._handle, timeout_ms, list(known.items()))
        if code != scard.SCARD_E_TIMEOUT:
            _check("SCardGetStatusChange", code)
        self._atrs = {name: bytes(atr) for name, _, atr in states}
        return {name: state & ~scard.SCARD_STATE_CHANGED for name, state, _ in states}

    def atr(self, reader: str) -> bytes:
        """The answer to reset of the card that the last look saw on a reader; empty without one."""
        return self._atrs.get(reader, b"")

    def usb_address(self, reader: str) -> tuple[int, int] | None:
        """Return bus and address of a reader; None where its driver does not tell, or it is not on USB."""
        code, handle, _ = scard.SCardConnect(self._handle, reader, scard.SCARD_SHARE_DIRECT, 0)
        _check("SCardConnect", code)
        try:
            code, value = scard.SCardGetAttrib(handle, scard.SCARD_ATTR_CHANNEL_ID)
            return usb_address(bytes(value)) if code == _SUCCESS else None
        finally:
            scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

    def control(self, reader: str, command: bytes) -> bytes:
        """Send one command to the reader itself, by an escape where there is no card, else as a pseudo-APDU."""
        code, handle, _ = scard.SCardConnect(self._handle, reader, scard.SCARD_SHARE_DIRECT, 0)
        if code != _SUCCESS:
            return self.transmit(reader, command)
        try:
            code, answer = scard.SCardControl(handle, ESCAPE, list(command))
            _check("SCardControl", code)
            return bytes(answer)
        finally:
            scard.SCardDisconnect(handle, scard.SCARD_LEAVE_CARD)

    def transmit(self, reader: str, command: bytes) -> bytes:
        """Connect to the card, send one command, leave the card as it is. Returns data and the two status bytes."""
        code, card, protocol = scard.SCardConnect(self._handle, reader, scard.SCARD_SHARE_SHARED, _ANY_PROTOCOL)
        _check("SCardConnect", code)
        try:
            pci = scard.SCARD_PCI_T1 if protocol == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0
            code, answer = scard.SCardTransmit(card, pci, list(command))
            _check("SCardTransmit", code)
            return bytes(answer)
        finally:
            scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)


def _check(call: str, code: int) -> None:
    if code in _READER_GONE:
        raise ReaderGoneError(call, code)
    if code != _SUCCESS:
        raise ScardError(call, code)
