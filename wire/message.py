"""What every message of `doorstile.v1` is: a struct whose `type` is the tag of its frame."""

from typing import ClassVar

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of all messages; `type` is the frame's tag."""

    type: ClassVar[str]
