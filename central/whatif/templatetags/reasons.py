"""Outcomes and reasons in words, as the dashboard has them."""

from django import template

from central.checkins import words

register = template.Library()
_OUTCOMES = {"grant": "granted", "deny": "denied"}


@register.filter
def reason_words(reason: str) -> str:
    """Return a reason in words."""
    return words.reason_words(reason)


@register.filter
def outcome_words(outcome: str) -> str:
    """Return an outcome in words."""
    return _OUTCOMES.get(outcome, outcome)
