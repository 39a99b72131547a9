"""docs/credentials.md: the table of forms, with the test vectors as examples."""

import tomllib
from pathlib import Path
from typing import Any, Final

from wire.forms import FORMS
from wire.vocabulary import CredentialKind

_INTRODUCTION: Final = Path(__file__).with_name("credentials_introduction.md")
VECTORS: Final = Path("tests/wire/vectors/credentials.toml")
_TITLES: Final = {
    CredentialKind.HF_UID: "13.56 MHz card UID",
    CredentialKind.LF_EM4100: "125 kHz EM4100",
    CredentialKind.LF_HID: "125 kHz HID Prox",
    CredentialKind.QR_STATIC: "QR or bar code",
    CredentialKind.PASS_SIGNED: "Signed pass",
    CredentialKind.PASS_ROTATING: "Rotating pass of a phone",
}


def credentials_page(root: Path) -> str:
    """Return the page: for each kind its forms, whether they are read back, and one example."""
    cards = tomllib.loads((root / VECTORS).read_text())["card"]
    parts = [_INTRODUCTION.read_text()]
    for kind in FORMS:
        card = next(card for card in cards if card["kind"] == kind)
        parts.append(f"## {_TITLES[kind]}: `{kind}`\n\nExample: canonical bytes `{card['canonical'].upper()}`.\n")
        parts.append(_table(kind, card["forms"]))
    return "\n".join(parts).rstrip() + "\n"


def _table(kind: CredentialKind, examples: dict[str, Any]) -> str:
    rows = ["| form | what it is | read back | example |", "|---|---|---|---|"]
    for form in FORMS[kind]:
        is_whole = "yes" if form.read else "no, drops bits"
        rows.append(f"| `{form.name}` | {form.says} | {is_whole} | `{examples.get(form.name, '')}` |")
    return "\n".join(rows) + "\n"
