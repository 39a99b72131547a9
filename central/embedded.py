"""`doorstile central`: the whole server in one process, for a single site, a demo or a laptop.

It brings the database up to date, serves, says where, and ends within seconds of SIGTERM or SIGINT.
"""

import asyncio
import os
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import uvicorn

from central.slow_clients import ImpatientProtocol
from wire.limits import MAX_FRAME_BYTES

_GRACE_S = 5


class _Server(uvicorn.Server):
    """uvicorn that says its address, sends devices away before it ends, and exits with 0 when asked to stop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and print the address, with the port that was free where port 0 was asked for."""
        await super().startup(sockets=sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            click.echo(f"central: http://{f'[{host}]' if ':' in host else host}:{port}/")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell devices when to come back, then end."""
        from central.config.asgi import service

        await service.part()
        await super().shutdown(sockets=sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM and SIGINT without raising them again."""
        loop = asyncio.get_running_loop()
        handled = (signal.SIGTERM, signal.SIGINT)
        for number in handled:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in handled:
                loop.remove_signal_handler(number)


def serve(host: str, port: int, data: Path) -> None:
    """Migrate and serve until a signal; `data` holds the database unless the environment names another.

    Raises click.ClickException, with a remedy, for what the operator can put right.
    """
    _require_free(host, port)
    _prepared(host, data)
    _allow_descriptors()
    from central.config import environment
    from central.config.asgi import application

    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        http=ImpatientProtocol,
        # Else anybody on this machine could write whose address they are of.
        proxy_headers=environment.switch("DOORSTILE_TLS"),
        # Twice what the protocol allows: a frame a little too large is answered, not just cut off.
        ws_max_size=2 * MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    _Server(config).run()


def _allow_descriptors() -> None:
    """Ask for all that the system lets us have: each device and each page is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _require_free(host: str, port: int) -> None:
    """Ask for the port before anything is made; uvicorn would end with a number and no remedy."""
    try:
        for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
    except OSError as fault:
        raise click.ClickException(
            f"cannot listen on {host} port {port} ({fault.strerror}); end what listens there, or give another with "
            "--host or --port"
        ) from fault


def _prepared(host: str, data: Path) -> None:
    from django.core.exceptions import ImproperlyConfigured
    from django.db.utils import OperationalError

    try:
        prepare(host, data)
    except ImproperlyConfigured as fault:
        raise click.ClickException(str(fault)) from fault
    except OSError as fault:
        raise click.ClickException(
            f"data folder {data} cannot be used ({fault.strerror}); check its rights, or give another with --data"
        ) from fault
    except OperationalError as fault:
        where = "DOORSTILE_DATABASE_URL" if os.environ.get("DOORSTILE_DATABASE_URL") else f"folder {data}"
        raise click.ClickException(f"the database cannot be used ({fault}); check {where} and its rights") from fault


def prepare(host: str, data: Path) -> None:
    """Settle the settings that the options stand for, and bring the database up to date."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central.config.settings")
    os.environ["DOORSTILE_DATA"] = str(data)
    os.umask(0o077)  # names, visits and sealed card numbers are nobody else's to read
    if host not in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        os.environ.setdefault("DOORSTILE_ALLOWED_HOSTS", f"localhost,127.0.0.1,[::1],{host}")

    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)


@click.command("central")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free port.")
@click.option(
    "--data",
    default="var/central",
    show_default=True,
    envvar="DOORSTILE_DATA",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the database and the secret key.",
)
def main(host: str, port: int, data: Path) -> None:
    """Run the central server in this process."""
    serve(host, port, data)


if __name__ == "__main__":
    main()
