"""docs/configuration.md: every key of the configuration, from `agent.config` and its fields' docstrings."""

import ast
import inspect
import json
from typing import Any, Final, get_args, get_origin, get_type_hints

import msgspec

from agent import config

_INTRODUCTION: Final = """\
% Made by `python -m tools.generate` from agent/config.py; edit that.

# Configuration

The agent reads one TOML file, `{path}` unless `--config` names another. Every key except `profile` has a default that
suits a device; what hangs at the door is named in the file or by `--profile`. A key that is unknown or ill-typed keeps
the agent from starting; the error names the key, the value and what would do.
"""


def configuration_page() -> str:
    """Return the page: the keys at the top of the file, then those of each table."""
    parts = [_INTRODUCTION.format(path=config.DEFAULT_PATH)]
    parts += _section(config.Config, "Top of the file")
    for field in msgspec.structs.fields(config.Config):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            parts += _section(field.type, f"`[{field.name}]`")
    return "\n".join(parts).rstrip() + "\n"


def _section(struct: type[msgspec.Struct], title: str) -> list[str]:
    hints, says = get_type_hints(struct, include_extras=True), field_docstrings(struct)
    rows = ["| key | value | default | what it does |", "|---|---|---|---|"]
    for field in msgspec.structs.fields(struct):
        if field.name in says:
            default = "none" if field.default is None else f"`{json.dumps(field.default)}`"
            rows.append(f"| `{field.name}` | {_value(hints[field.name])} | {default} | {says[field.name]} |")
    return [f"## {title}\n", f"{inspect.cleandoc(struct.__doc__ or '')}\n", "\n".join(rows) + "\n"]


def field_docstrings(struct: type) -> dict[str, str]:
    """Return the string that stands below each field of a class."""
    body = ast.parse(inspect.getsource(struct)).body[0]
    assert isinstance(body, ast.ClassDef), struct
    found: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


def _value(kind: Any) -> str:
    if hasattr(kind, "__metadata__"):
        if kind.__metadata__[0].title is not None:
            return str(kind.__metadata__[0].title)
        return f"{_value(get_args(kind)[0])}{_bounds(kind.__metadata__[0])}"
    if get_origin(kind) is not None or get_args(kind):
        return " or ".join(_value(one) for one in get_args(kind) if one is not type(None))
    return {str: "text", int: "integer", float: "number", bool: "true or false"}[kind]


def _bounds(meta: msgspec.Meta) -> str:
    if meta.pattern is not None:
        return f", one of {meta.pattern.strip('^$()').replace('|', ', ')}"
    low = f", more than {meta.gt:g}" if meta.gt is not None else ""
    low = f", at least {meta.ge:g}" if meta.ge is not None else low
    return low + (f", at most {meta.le:g}" if meta.le is not None else "")
