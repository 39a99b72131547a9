"""What is wrong with a TOML file, in words: the full key, the value and the remedy."""

import re
import tomllib
from typing import Any, Final

import msgspec

_SHOWN_CHARS: Final = 120


class NotTomlError(ValueError):
    """A text that is no TOML; says where and why."""


def read_toml(text: str) -> dict[str, Any]:
    """Parse a TOML file; raise NotTomlError whatever is wrong with it.

    tomllib itself lets RecursionError through for deep nesting, and a plain ValueError for endless digits.
    """
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise NotTomlError("it nests too deep") from error
    except ValueError as error:
        raise NotTomlError(str(error)) from error


def explain(error: msgspec.ValidationError, raw: object) -> str:
    """Turn msgspec's message ("... - at `$.a[0].b`") about the parsed file `raw` into key, problem and value."""
    problem, _, path = str(error).partition(" - at `$")
    key = path.rstrip("`").removeprefix(".")
    field = re.search(r"field `(.+)`$", problem)
    if field:
        full_key = f"{key}.{field[1]}" if key else field[1]
        if "unknown" in problem:
            return f"{_short(full_key)}: unknown key; remove it or correct its spelling"
        return f"{_short(full_key)}: missing; add it"
    return f"{_short(key)}: {_short(problem)}, got {_shown(_value_at(raw, key))}; correct the value"


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to spell integers of thousands of digits
        return "a number too long to show"
    return _short(text)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _value_at(raw: object, key: str) -> object:
    for name, position in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        if isinstance(raw, dict) and name in raw:
            raw = raw[name]
        elif isinstance(raw, list) and position:
            raw = raw[int(position)]
    return raw
