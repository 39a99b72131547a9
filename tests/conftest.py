"""What holds for every test: how many examples a property is tried on, and that logs are heard.

Few by default, so that the pure tests run in about a second; HYPOTHESIS_PROFILE=long tries many.
"""

import logging
import os

import pytest
from hypothesis import HealthCheck, settings

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile("fast", max_examples=15, deadline=None, database=None, suppress_health_check=_QUIET)
settings.register_profile("ci", max_examples=60, deadline=None, database=None, suppress_health_check=_QUIET)
settings.register_profile("long", max_examples=5_000, deadline=None, suppress_health_check=_QUIET)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "fast"))


@pytest.fixture(autouse=True)
def _logs_are_heard() -> None:
    """Some harnesses silence the product's logs in whatever process they explore; the next test may read them."""
    logging.disable(logging.NOTSET)
