"""The targets' names, for a command line that must not import the product before it is instrumented."""

from typing import Final

NAMES: Final = (
    "agent_session", "api_body", "book", "central_session", "configuration", "credential", "enrolment_answer",
    "enrolment_request", "events", "frames_from_agent", "frames_from_central", "import", "keys", "ledger", "panel",
    "passes", "presentation", "profile", "reader_names", "refusal", "sealed_card", "serial", "shown_bits",
    "token", "trace", "wiegand",
)  # fmt: skip
