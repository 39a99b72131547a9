"""What is wrong with a TOML file, in words: the full key, the value and the remedy."""

import re

import msgspec


def explain(error: msgspec.ValidationError, raw: object) -> str:
    """Turn msgspec's message ("... - at `$.a[0].b`") about the parsed file `raw` into key, problem and value."""
    problem, _, path = str(error).partition(" - at `$")
    key = path.rstrip("`").removeprefix(".")
    field = re.search(r"field `(.+)`$", problem)
    if field:
        full_key = f"{key}.{field[1]}" if key else field[1]
        if "unknown" in problem:
            return f"{full_key}: unknown key; remove it or correct its spelling"
        return f"{full_key}: missing; add it"
    return f"{key}: {problem}, got {_value_at(raw, key)!r}; correct the value"


def _value_at(raw: object, key: str) -> object:
    for name, position in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        if isinstance(raw, dict) and name in raw:
            raw = raw[name]
        elif isinstance(raw, list) and position:
            raw = raw[int(position)]
    return raw
