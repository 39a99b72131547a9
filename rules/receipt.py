"""The receipt of a decision: what is needed to make it again, and a digest of the facts that went in."""

from hashlib import sha256

import msgspec

from rules.facts import Facts
from wire.events import Receipt
from wire.facts import DoorFacts, PresenceFacts

_encode = msgspec.json.Encoder().encode


def receipt_of(facts: Facts, rules: int) -> Receipt:
    """Return the receipt of a decision by rules of a version."""
    directory = facts.directory
    return Receipt(
        dir_epoch=directory.epoch if directory else "",
        dir_ver=directory.ver if directory else 0,
        rules=rules,
        input=_input_digest(facts),
        scope="site" if facts.presence.is_site_wide else "device",
        stale_s=facts.stale_s,
        door=None if facts.door == DoorFacts() else facts.door,
        presence=None if facts.presence == PresenceFacts() else facts.presence,
        passed=facts.passed,
    )


def _input_digest(facts: Facts) -> str:
    """Return 32 hex digits over what the rules looked at: a second decision can tell whether it saw the same.

    The book is named by the directory's version and digest.
    """
    seen = (
        facts.read.credential.kind,
        facts.read.credential.key,
        facts.read.direction,
        facts.now.wall_ms,
        facts.now.q,
        facts.directory,
        facts.row,
        facts.door,
        facts.presence,
        facts.stale_s,
        facts.passed,
    )
    return sha256(_encode(seen)).hexdigest()[:32]
