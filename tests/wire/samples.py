"""Random but valid messages, events and directory rows: one number, the seed, decides all of one."""

from enum import Enum
from random import Random
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import strategies as st

from wire import chain, events
from wire.events import BODIES, Stamp
from wire.message import Message
from wire.messages import FROM_AGENT, FROM_CENTRAL, Events
from wire.rows import DirectoryRow
from wire.vocabulary import EventKind

_LETTERS = 'aZ09 "\\/<>&{}[],:\x00\x1f\x7f\u2028é漢\U0001f6aa\u202e'

S = TypeVar("S", bound=msgspec.Struct)


def sample(struct: type[S], seed: int) -> S:
    """A valid instance of a struct; every field is set."""
    return _struct(struct, Random(seed))


def message(kind: type[Message], seed: int) -> Message:
    """A valid message; a batch holds real spliced events."""
    if kind is Events:
        batch = [msgspec.Raw(spliced(text)) for text in event_texts(seed, 3)]
        return Events(run=f"{seed:016x}", first=1, ev=batch)
    return sample(kind, seed)


def event_texts(seed: int, count: int) -> list[bytes]:
    """The stored texts of events 1 to `count` of a run."""
    random = Random(seed)
    texts = []
    for n in range(1, count + 1):
        kind = random.choice(list(EventKind))
        texts.append(events.number(n, events.write_tail(kind, _struct(Stamp, random), _struct(BODIES[kind], random))))
    return texts


def spliced(text: bytes) -> bytes:
    """The event as it goes over the link."""
    return chain.splice(text, chain.digest(text))


def directory_rows(seed: int, count: int) -> list[DirectoryRow]:
    """Rows in the order of their keys."""
    rows = [sample(DirectoryRow, seed + index) for index in range(count)]
    return sorted(rows, key=lambda row: row.key)


def json_value(seed: int) -> Any:
    """Any JSON value, shallow."""
    random = Random(seed)
    flat = [
        None,
        True,
        -1,
        0.5,
        2**70,
        "",
        "text",
        [],
        {},
        [None],
        {"a": [1]},
        random.randint(0, 9),
        str(random.random()),
    ]
    return random.choice([*flat, [random.choice(flat)], {"a": random.choice(flat)}])


def _struct(struct: type[S], random: Random) -> S:
    hints = get_type_hints(struct, include_extras=True)
    fields = {name: _value(hints[name], random) for name in struct.__struct_fields__}
    return struct(**fields)


def _value(kind: Any, random: Random) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if hasattr(kind, "__metadata__"):
        bounds = kind.__metadata__[0]
        if bounds.ge is None:
            return "0a" * 16 if bounds.pattern else _value(args[0], random)
        return random.choice([bounds.ge, bounds.le, random.randint(bounds.ge, bounds.le)])
    if origin is list:
        return [_value(args[0], random) for _ in range(random.randint(0, 3))]
    if origin is dict:
        return {_value(args[0], random): _value(args[1], random) for _ in range(random.randint(0, 3))}
    if origin is UnionType or (args and origin is not None):
        return _value(random.choice(args), random)
    return _plain(kind, random)


def _plain(kind: Any, random: Random) -> Any:
    if kind is type(None):
        return None
    if kind is msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode({"text": _plain(str, random)}))
    if issubclass(kind, msgspec.Struct):
        return _struct(kind, random)
    if issubclass(kind, Enum):
        return random.choice(list(kind))
    if kind is str:
        return "".join(random.choices(_LETTERS, k=random.randint(0, 8)))
    return {bool: random.random() < 0.5, float: random.uniform(0, 1e6), int: random.randint(0, 10_000)}[kind]


seeds = st.integers(0, 2**64 - 1)
from_agent = st.builds(message, st.sampled_from(FROM_AGENT), seeds)
from_central = st.builds(message, st.sampled_from(FROM_CENTRAL), seeds)
runs = st.builds(event_texts, seeds, st.integers(1, 8))
