"""Refusals as RFC 9457 has them: `application/problem+json`, with every bad field named."""

from typing import Final

import msgspec
from django.core.exceptions import ValidationError

TITLES: Final = {
    400: "The request cannot be read",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Not JSON",
    422: "The request makes no sense",
}
MEDIA_TYPE: Final = "application/problem+json"


class BadField(msgspec.Struct, frozen=True):
    """What is wrong with one field, and what would do; `field` is its path in the body, or a parameter's name."""

    field: str
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was refused (RFC 9457). Nothing was changed."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    errors: list[BadField] = []


class ProblemError(Exception):
    """A request that is refused; `headers` go with the answer."""

    def __init__(
        self, status: int, detail: str, errors: list[BadField] | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.problem = Problem(title=TITLES[status], status=status, detail=detail, errors=errors or [])
        self.headers = headers or {}


def bad_fields(errors: list[BadField]) -> ProblemError:
    """Return the refusal of a request whose fields are wrong."""
    return ProblemError(422, "; ".join(f"{error.field}: {error.detail}" for error in errors), errors)


def bad_field(field: str, detail: str) -> ProblemError:
    """Return the refusal of a request one of whose fields is wrong."""
    return bad_fields([BadField(field, detail)])


def of_validation(refused: ValidationError) -> ProblemError:
    """Return the refusal that a model's own checks stand for."""
    return bad_fields([BadField(name, said) for name, details in refused.message_dict.items() for said in details])
