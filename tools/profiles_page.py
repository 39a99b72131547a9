"""docs/profiles.md: every section and key of a hardware profile, from `hardware.sections` and their docstrings."""

import inspect
from enum import StrEnum
from types import NoneType
from typing import Any, Final, Literal, get_args, get_origin

import msgspec

from hardware.profiles import GpioLine, Profile, driver_parts, load_profile, shipped_profiles
from tools.configuration_page import field_docstrings

_INTRODUCTION: Final = """\
% Made by `python -m tools.generate` from hardware/sections; edit that.

# Profiles

A profile is one TOML file that names every driver and line at a door. `profile` in the
[configuration](configuration.md) names a shipped one, or the path of your own. An unknown key, a missing driver and
wiring that could not be quiet keep the agent from starting; the message names the key, the value and what would do.
[Hardware](hardware.md) says how things are wired and why a profile is refused.

## Shipped

| profile | door |
|---|---|
{shipped}

Copy one to `/etc/doorstile/`, change what differs, and name the copy: `profile = "/etc/doorstile/north.toml"`.

## Top of the file
"""

_SECTIONS: Final = {
    "readers": "`[[readers]]`: one to eight",
    "strike": "`[strike]`: the lock of a door",
    "turnstile": "`[turnstile]`: instead of a strike",
    "light": "`[light]`",
    "buzzer": "`[buzzer]`",
    "interlock": "`[interlock]`: where two doors wait for each other",
    "display": "`[display]`: a line or two of text",
    "inputs": "`[[inputs]]`: up to sixteen",
}


def profiles_page() -> str:
    """Return the page: shipped profiles, the keys at the top, then each section with its drivers."""
    shipped = "\n".join(f"| `{name}` | {load_profile(name).description} |" for name in shipped_profiles())
    parts = [_INTRODUCTION.format(shipped=shipped)]
    top = [field for field in msgspec.structs.fields(Profile) if field.name not in Profile.PARTS]
    parts.append(_table(Profile, top))
    for section, title in _SECTIONS.items():
        parts.append(f"\n## {title}\n")
        for driver, part in sorted(driver_parts(section).items()):
            parts.append(f'### `driver = "{driver}"`\n\n{_say(part)}\n')
            parts.append(_table(part, list(msgspec.structs.fields(part))))
    parts.append(f"\n## A line\n\n{_say(GpioLine)}\n")
    parts.append(_table(GpioLine, list(msgspec.structs.fields(GpioLine))))
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def _say(struct: type) -> str:
    return inspect.cleandoc(struct.__doc__ or "").replace("``", "`")


def _table(struct: type, fields: list[msgspec.structs.FieldInfo]) -> str:
    if not fields:
        return ""
    says: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            says |= field_docstrings(base)
    rows = ["| key | value | default | what it is |", "|---|---|---|---|"]
    for field in fields:
        cell = says.get(field.name, "")
        rows.append(f"| `{field.encode_name}` | {_value(field.type)} | {_default(field)} | {cell} |")
    return "\n".join(rows) + "\n"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is None or field.default in ((), ""):
        return "none"
    if isinstance(field.default, tuple):
        return f"`{list(field.default)}`"
    return f"`{str(field.default).lower()}`" if isinstance(field.default, bool) else f"`{field.default}`"


def _value(kind: Any) -> str:
    if hasattr(kind, "__metadata__"):
        return f"{_value(get_args(kind)[0])}{_bounds(kind.__metadata__[0])}"
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is tuple:
        return f"list of {_value(get_args(kind)[0])}"
    if get_args(kind):
        return " or ".join(_value(one) for one in get_args(kind) if one is not NoneType)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(f"`{word}`" for word in kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "[line](#a-line)"
    return {str: "text", int: "integer", float: "number", bool: "`true`, `false`"}[kind]


def _bounds(meta: msgspec.Meta) -> str:
    if meta.pattern is not None:
        return f" `{meta.pattern}`".replace("|", "\\|")
    low = f", above {meta.gt:g}" if meta.gt is not None else ""
    low = f", from {meta.ge:g}" if meta.ge is not None else low
    return low + (f" to {meta.le:g}" if meta.le is not None else "")
