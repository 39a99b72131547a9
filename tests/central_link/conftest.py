"""Real centrals to talk to: one on SQLite, one on PostgreSQL and Redis, started when the first test asks for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.central import RunningCentral, running_central
from tests.services.postgres import need_postgres, running_postgres
from tests.services.redis import need_redis, running_redis


@pytest.fixture(scope="session")
def sqlite_central(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCentral]:
    with running_central(tmp_path_factory.mktemp("central")) as central:
        yield central


@pytest.fixture(scope="session")
def services() -> Iterator[dict[str, str]]:
    """The environment of a central on PostgreSQL and Redis."""
    need_postgres()
    need_redis()
    with running_postgres() as database_url, running_redis() as redis_url:
        yield {"DOORSTILE_DATABASE_URL": database_url, "DOORSTILE_REDIS_URL": redis_url}


@pytest.fixture(scope="session")
def postgres_central(tmp_path_factory: pytest.TempPathFactory, services: dict[str, str]) -> Iterator[RunningCentral]:
    with running_central(tmp_path_factory.mktemp("central-pg"), services) as central:
        yield central


@pytest.fixture(params=["sqlite", "postgres"])
def central(request: pytest.FixtureRequest) -> RunningCentral:
    """Each test that takes it runs on both."""
    running: RunningCentral = request.getfixturevalue(f"{request.param}_central")
    return running


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "central"
