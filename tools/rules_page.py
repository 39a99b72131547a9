"""docs/rules.md: the rules in their order, made from the table so that it cannot say anything else."""

from pathlib import Path
from typing import Final

from agent.core.screen import CODES
from rules.policy import RULES, VERSION
from wire.vocabulary import Notice

_INTRODUCTION: Final = Path(__file__).with_name("rules_introduction.md")
_NOTICES: Final = {
    Notice.PAYMENT_GRACE: "the payment lapsed and the days of grace run",
    Notice.ANTI_PASSBACK_SOFT: "by the record the holder is inside already",
    Notice.PRESENCE_UNCERTAIN: "anti-passback did not hold, as a crash hid whether the holder went through",
    Notice.OVERRIDE: "a rule objected, and the right to override lifted it",
}


def rules_page() -> str:
    """Return the page: the introduction, the table of rules, and what staff are told."""
    lines = [_INTRODUCTION.read_text().rstrip(), "", f"Version {VERSION} of the rules.", ""]
    lines += ["| | reason | objects where | asked of | lifted by override | shown |", "|---|---|---|---|---|---|"]
    for number, rule in enumerate(RULES, 1):
        asked, lifted = "all" if rule.is_for_exits else "who comes in", "yes" if rule.is_liftable else ""
        lines.append(f"| {number} | `{rule.reason}` | {rule.says} | {asked} | {lifted} | {CODES[rule.reason]} |")
    lines += ["", "Whoever none objects to is granted as `member_valid`.", "", "## What staff are told", ""]
    lines += ["| notice | beside a grant where |", "|---|---|"]
    lines += [f"| `{notice}` | {_NOTICES[notice]} |" for notice in Notice]
    return "\n".join(lines) + "\n"
