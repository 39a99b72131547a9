"""Write the pages that are made from code; with `--check` only say which are stale, and exit 1."""

import json
import sys
from pathlib import Path

from tools.configuration_page import configuration_page
from tools.credentials_page import credentials_page
from tools.profiles_page import profiles_page
from tools.protocol_page import protocol_page, schema
from tools.rules_page import rules_page


def pages(root: Path) -> dict[Path, str]:
    """Return the text of every generated page by its path."""
    docs = root / "docs"
    return {
        docs / "protocol.md": protocol_page(),
        docs / "schema" / "doorstile.v1.json": json.dumps(schema(), indent=1) + "\n",
        docs / "configuration.md": configuration_page(),
        docs / "profiles.md": profiles_page(),
        docs / "credentials.md": credentials_page(root),
        docs / "rules.md": rules_page(),
    }


def main(arguments: list[str]) -> int:
    """Write or check the pages; return the exit code."""
    stale = 0
    for path, text in pages(Path(__file__).parent.parent).items():
        if path.exists() and path.read_text() == text:
            continue
        stale = 1
        if arguments == ["--check"]:
            print(f"{path} is stale; run: .venv/bin/python -m tools.generate")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path}")
    return stale if arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
