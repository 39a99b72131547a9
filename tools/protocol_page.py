"""docs/protocol.md and its JSON Schema, made from `wire` so that they cannot say anything else."""

import inspect
import json
import sys
from collections.abc import Iterator
from enum import Enum, EnumType
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import msgspec

from wire import limits, vocabulary
from wire.book import BookItem
from wire.events import BODIES, Event
from wire.message import Message
from wire.messages import FROM_AGENT, FROM_CENTRAL

_INTRODUCTION: Final = Path(__file__).with_name("protocol_introduction.md")
_PLAIN: Final[dict[Any, str]] = {
    str: "text", int: "integer", float: "number", bool: "true or false", type(None): "null"
}  # fmt: skip


def all_messages() -> list[type[Message]]:
    """Return every message once, those of the agent first."""
    return list(dict.fromkeys(FROM_AGENT + FROM_CENTRAL))


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a frame of either direction, and of an event's text."""
    messages = all_messages()
    schemas, components = msgspec.json.schema_components(
        [*messages, Event, *BODIES.values(), *BookItem.__args__], ref_template="#/$defs/{name}"
    )
    frames = {message.type: _frame(message, ref) for message, ref in zip(messages, schemas, strict=False)}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "doorstile.v1.json",
        "title": f"Frames of {vocabulary.SUBPROTOCOL}",
        "oneOf": list(frames.values()),
        "$defs": {name: _described(components[name]) for name in sorted(components)},
    }


def _described(definition: dict[str, Any]) -> dict[str, Any]:
    """Return the definition with its description unindented, which compilers before Python 3.13 leave to the reader."""
    if "description" in definition:
        definition["description"] = inspect.cleandoc(definition["description"])
    return definition


def _frame(message: type[Message], ref: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": message.type,
        "description": _direction(message),
        "type": "object",
        "properties": {"type": {"const": message.type}, "payload": ref},
        "required": ["type", "payload"],
    }


def _direction(message: type[Message]) -> str:
    if message in FROM_AGENT and message in FROM_CENTRAL:
        return "either way"
    return "agent to central" if message in FROM_AGENT else "central to agent"


def protocol_page() -> str:
    """Return docs/protocol.md: the introduction, then every message, structure, word and bound."""
    parts = [_INTRODUCTION.read_text(), "## Messages\n"]
    structs: dict[str, type[msgspec.Struct]] = {}
    for message in all_messages():
        parts.append(f"### `{message.type}`\n\n*{_direction(message).capitalize()}.* {_text(message)}\n")
        parts.append(_fields(message, structs))
    parts.append("## Events\n\n" + _text(sys.modules[Event.__module__], paragraph=1) + "\n")
    for kind, body in BODIES.items():
        parts.append(f"### Event `{kind.value}`\n\n{_text(body)}\n")
        parts.append(_fields(body, structs))
    parts.append("## The book\n\n" + _text(sys.modules[BookItem.__args__[0].__module__]) + "\n")
    for item in BookItem.__args__:
        parts.append(f"### Item `{item.__struct_config__.tag}`\n\n{_text(item)}\n")
        parts.append(_fields(item, structs))
    parts.append("## Structures\n")
    written: set[str] = set()
    while names := sorted(set(structs) - written):
        for name in names:
            written.add(name)
            parts.append(f"### {name}\n\n{_text(structs[name])}\n")
            parts.append(_fields(structs[name], structs))
    parts += ["## Words\n", *_words(), "## Bounds\n", _bounds()]
    return "\n".join(parts).rstrip() + "\n"


def _text(thing: Any, *, paragraph: int = 0) -> str:
    paragraphs = (thing.__doc__ or "").split("\n\n")[paragraph:]
    return "\n\n".join(" ".join(one.split()) for one in paragraphs).strip()


def _fields(struct: type[msgspec.Struct], structs: dict[str, type[msgspec.Struct]]) -> str:
    fields = msgspec.structs.fields(struct)
    if not fields:
        return "No fields.\n"
    rows = ["| field | type | default |", "|---|---|---|"]
    rows += [f"| `{one.encode_name}` | {_type(one.type, structs)} | {_default(one)} |" for one in fields]
    return "\n".join(rows) + "\n"


def _type(kind: Any, structs: dict[str, type[msgspec.Struct]]) -> str:
    if get_origin(kind) is list:
        return f"list of {_type(get_args(kind)[0], structs)}"
    if get_origin(kind) is dict:
        return f"object of {_type(get_args(kind)[1], structs)}"
    if args := get_args(kind):
        return " or ".join(_type(arg, structs) for arg in args)
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    if is_struct:
        structs[kind.__name__] = kind
    if is_struct or getattr(kind, "__module__", "") == vocabulary.__name__:
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return _PLAIN.get(kind, "any")


def _default(one: msgspec.structs.FieldInfo) -> str:
    if one.required:
        return "*required*"
    value = one.default if one.default is not msgspec.NODEFAULT else one.default_factory()
    return f"`{json.dumps(msgspec.to_builtins(value))}`"


def _words() -> Iterator[str]:
    for name, words in vars(vocabulary).items():
        if isinstance(words, EnumType) and words.__module__ == vocabulary.__name__:
            values = ", ".join(f"`{word.value}`" for word in list[Enum](words))
            yield f"### {name}\n\n{_text(words)}\n\n{values}\n"


def _bounds() -> str:
    rows = ["| name | value |", "|---|---|"]
    constants = {name: value for name, value in vars(limits).items() if name.isupper()}
    for struct in (limits.Limits(), limits.Reconnect()):
        constants |= {f"{type(struct).__name__}.{field}": value for field, value in msgspec.to_builtins(struct).items()}
    rows += [f"| `{name}` | {value} |" for name, value in constants.items()]
    return "\n".join(rows) + "\n"
