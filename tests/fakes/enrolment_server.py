"""A small HTTP server that enrols devices, or answers whatever a test wants."""

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from wire.enrolment import EnrolAnswer, EnrolRefusal, EnrolRefused, EnrolRequest

GOOD_CODE = "K7QM2RXD"
ANSWER = EnrolAnswer(
    device="0192f0c1-0000-7000-8000-000000000001",
    name="North door",
    site="Gym",
    time_zone="Europe/Berlin",
    audience="doorstile-test",
    kid="kid1",
    credential_key="00" * 32,
)

Reply = Callable[[EnrolRequest], tuple[int, bytes]]


def enrol_properly(request: EnrolRequest) -> tuple[int, bytes]:
    """Take the good code; refuse any other."""
    if request.code != GOOD_CODE:
        refusal = EnrolRefusal(EnrolRefused.UNKNOWN_CODE, "no such code; make a new one")
        return 403, msgspec.json.encode(refusal)
    return 201, msgspec.json.encode(ANSWER)


@dataclass(slots=True)
class EnrolmentServer:
    """`requests` are what arrived, `paths` where."""

    url: str = ""
    reply: Reply = enrol_properly
    requests: list[EnrolRequest] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    def proof_claims(self) -> dict[str, object]:
        """Check the newest proof against the newest public key; return its claims."""
        import base64

        request = self.requests[-1]
        raw = base64.urlsafe_b64decode(request.public_key + "=")
        claims: dict[str, object] = jwt.decode(
            request.proof, Ed25519PublicKey.from_public_bytes(raw), algorithms=["EdDSA"], audience=self.url
        )
        return claims


@contextlib.contextmanager
def enrolment_server(context: ssl.SSLContext | None = None) -> Iterator[EnrolmentServer]:
    """Serve on a free loopback port."""
    state = EnrolmentServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.paths.append(self.path)
            state.requests.append(msgspec.json.decode(body, type=EnrolRequest))
            status, answer = state.reply(state.requests[-1])
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.send_header("Location", "http://127.0.0.1:9/stolen")
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            return  # a client that does not like the certificate hangs up

        def get_request(self):  # type: ignore[no-untyped-def]
            connection, address = super().get_request()
            if context is not None:
                connection.settimeout(5.0)
                connection = context.wrap_socket(connection, server_side=True)
            return connection, address

    server = Server(("127.0.0.1", 0), Handler)
    host, scheme = ("127.0.0.1", "http") if context is None else ("localhost", "https")
    state.url = f"{scheme}://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="enrolment-server")
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
