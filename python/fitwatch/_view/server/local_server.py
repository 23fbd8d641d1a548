"""A server for the browser of the same computer, unless another address is asked for."""

import ipaddress
import socket
import threading
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from werkzeug.serving import WSGIRequestHandler, make_server

from fitwatch._view.server.application import Application, Environ, Response, error, serve
from fitwatch._view.server.run_source import RunSource

LOOPBACK = ("127.0.0.1", "localhost", "::1")
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        # Notebooks show the page in a frame.
        "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*",
    ]
)


class LocalServer:
    """Serves the page of a source of runs, from threads of its own.

    A request must name this server in its `Host`, with any port, as a tunnel may have another.
    Thus a page of another server, whose name points here, reads nothing (DNS rebinding).

    Args:
        source: The runs.
        host: The address to listen at.
        port: The port; 0 for a free one.

    Attributes:
        url: The address of the page.

    Raises:
        OSError: The address cannot be listened at.
    """

    def __init__(self, source: RunSource, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host.strip("[]").lower()
        self._application = Application(source)
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # Bound here, since werkzeug ends the process if the port is taken.
        with socket.create_server((self._host, port), family=family) as bound:
            self._server = make_server(
                self._host, port, self._answer, threaded=True, request_handler=_Handler,
                fd=bound.fileno(),
            )  # fmt: skip
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="fitwatch-view", daemon=True
        )
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)
        shown = f"[{shown}]" if ":" in shown else shown
        self.url = f"http://{shown}:{self._server.port}/"

    def start(self) -> None:
        """Starts to answer."""
        self._thread.start()

    def join(self) -> None:
        """Waits for the end of the server."""
        self._thread.join()

    def close(self) -> None:
        """Ends the server."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()

    def _answer(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        def with_policy(status: str, headers: list[tuple[str, str]]) -> Any:
            return start_response(status, [*headers, ("Content-Security-Policy", POLICY)])

        if self._is_own(environ.get("HTTP_HOST", "")):
            return self._application(environ, with_policy)
        return serve(_refuse, environ, with_policy)

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        if name is None or name in LOOPBACK or name == self._host:
            return name is not None
        if self._host not in ("0.0.0.0", "::"):
            return False
        # Listening at all addresses: by number, which no foreign name can stand for, or by name.
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in (socket.gethostname().lower(), socket.getfqdn().lower())
        return True


def _refuse(environ: Environ) -> Response:
    return error("403 Forbidden", "the request is for another host")


class _Handler(WSGIRequestHandler):
    """Answers malformed requests with one line, and logs nothing."""

    protocol_version = "HTTP/1.1"
    server_version = "fitwatch"
    sys_version = ""
    timeout = 30  # seconds for a client that says nothing
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"

    def run_wsgi(self) -> None:
        try:
            urlsplit(self.path)
        except ValueError:
            self.send_error(400)
        else:
            super().run_wsgi()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        super().send_error(code)  # the message would repeat the request

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass  # werkzeug's raises for some addresses

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        pass
