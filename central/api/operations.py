"""What an operation of the API is: who may call it, what it takes, what it answers, and what runs.

`central.api.serving` routes, guards and runs them; `central.api.description` describes them. Neither knows anything of
members or credentials.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import msgspec

from central.api.models import ApiKey, Scope
from central.api.problems import ProblemError, bad_field

PAGE_DEFAULT: Final = 100
PAGE_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request: `body` is what the operation takes, `id` the one in the path."""

    key: ApiKey
    query: Mapping[str, str]
    body: Any = None
    id: UUID | None = None

    @property
    def target(self) -> UUID:
        """The id in the path of an operation that has one."""
        assert self.id is not None, "the route has an id"
        return self.id

    def require(self, *permissions: str) -> None:
        """Raise ProblemError where the key's owner lacks one of these."""
        missing = [permission for permission in permissions if not self.key.owner.has_perm(permission)]
        if missing:
            detail = f"the owner of the key {self.key.name!a} lacks the permission {missing[0]}; give it to them"
            raise ProblemError(403, detail)

    def limit(self) -> int:
        """Return how many things the caller wants on a page; raise ProblemError."""
        text = self.query.get("limit", str(PAGE_DEFAULT))
        if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= PAGE_MOST):
            raise bad_field("limit", f"give a whole number from 1 to {PAGE_MOST}")
        return int(text)

    def uuid(self, name: str) -> UUID | None:
        """Return the id that a parameter holds, None without it; raise ProblemError."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            return UUID(text)
        except ValueError:
            raise bad_field(name, "give a UUID") from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What comes back: a body, and where the thing is that was made."""

    body: msgspec.Struct | None = None
    location: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address. `permissions` are what the key's owner must have, `scope` what the key must."""

    method: str
    summary: str
    scope: Scope
    permissions: tuple[str, ...]
    run: Callable[[Call], Answer]
    answers: type[msgspec.Struct] | None = None
    takes: type[msgspec.Struct] | None = None
    status: int = 200
    parameters: tuple[str, ...] = ()

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"


@dataclass(frozen=True, slots=True)
class Resource:
    """An address below `/api/v1/` and what can be done there; `{id}` in it is a UUID."""

    path: str
    operations: tuple[Operation, ...]


PARAMETERS: Final = {
    "limit": f"how many on a page, 1 to {PAGE_MOST}; {PAGE_DEFAULT} without it",
    "after": "the page after this id",
    "external_id": "only the member with this id in the caller's own system",
    "site": "only members who may enter this site, by its id",
    "member": "only credentials of this member",
}
