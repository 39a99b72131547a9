"""The root of the product's exceptions, and the two ways in which a conversation can go wrong.

A denial is a value, never an exception. An exception means "could not do it".
"""

from wire.vocabulary import CloseCode, ErrorCode


class DoorstileError(Exception):
    """Any fault that Doorstile itself names; its text says the thing, the value and the remedy."""


class ProtocolError(DoorstileError):
    """The conversation between agent and central broke a rule of `doorstile.v1`."""


class LocalProtocolError(ProtocolError):
    """We were about to break the protocol ourselves: a bug on this side."""


class RemoteProtocolError(ProtocolError):
    """The other side broke the protocol; `code` says how and `close` whether the connection can go on.

    `close` is None where an `error` message is answer enough and the connection stays.
    """

    def __init__(self, code: ErrorCode, detail: str, *, close: CloseCode | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.close = close
