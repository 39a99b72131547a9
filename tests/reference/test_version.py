"""What the rules decide belongs to their version: receipts name it, and central decides again only by the same."""

import hashlib
from typing import Final

import pytest

from rules.book import load
from rules.policy import VERSION, decide
from tests.reference.cases import cases, site
from tests.reference.comparing import facts_of

pytestmark = pytest.mark.unit

_SITES: Final = range(20)
_DECIDED: Final = (4, "67de902012dd5037")
"""The version, and a digest of what it decides about the cases of these sites."""


def test_rules_that_decide_otherwise_have_another_version() -> None:
    found = hashlib.sha256()
    for seed in _SITES:
        book = load(site(seed))
        for seen in cases(seed):
            decision = decide(facts_of(seen, book))
            found.update(f"{decision.outcome} {decision.reason} {' '.join(decision.notices)};".encode())
    now = (VERSION, found.hexdigest()[:16])
    assert now == _DECIDED, (
        f"the rules decide otherwise: {now}. Raise VERSION in rules/policy.py and write the new pair here; "
        "where tests/reference/cases.py alone was changed, the pair alone"
    )
