"""The WSGI application: the page and its data, the same in TensorBoard and by itself."""

import gzip
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from fitwatch._view.server import query
from fitwatch._view.server.envelopes import blocks
from fitwatch._view.server.page_files import PageFile, page_files
from fitwatch._view.server.query import BadRequestError
from fitwatch._view.server.run_source import RunSource

Environ = dict[str, Any]
WORTH_COMPRESSING = 1 << 14
TEXT = "text/plain; charset=utf-8"
HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-cache"),
]

log = logging.getLogger(__name__)


class Response(NamedTuple):
    """An answer; `Content-Length` and the headers of all answers are added."""

    status: str
    content_type: str
    content: bytes
    headers: tuple[tuple[str, str], ...] = ()


class Application:
    """Answers GET and HEAD for a fixed set of addresses; anything else is an error of one line.

    Attributes:
        routes: The addresses, each with its own WSGI application, wherever it is mounted.
    """

    def __init__(self, source: RunSource) -> None:
        self._source = source
        answers: dict[str, Callable[[Environ], Response]] = {
            "/data/runs": self._runs,
            "/data/envelopes": self._envelopes,
        }
        for path, file in page_files().items():
            answers[path] = partial(_file, file)
        self.routes = {path: partial(serve, answer) for path, answer in answers.items()}

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answers a request for an address that is counted from the root of the server."""
        path = environ.get("PATH_INFO", "")
        route = self.routes.get("/index.html" if path in ("", "/") else path)
        if route is None:
            return serve(_not_found, environ, start_response)
        return route(environ, start_response)

    def _runs(self, environ: Environ) -> Response:
        content = self._source.answer(query.since(environ.get("QUERY_STRING", ""))).encode()
        headers = []
        if len(content) > WORTH_COMPRESSING and _takes_gzip(environ):
            content = gzip.compress(content, compresslevel=1)
            headers.append(("Content-Encoding", "gzip"))
        return Response("200 OK", "application/json", content, tuple(headers))

    def _envelopes(self, environ: Environ) -> Response:
        window = query.window(environ.get("QUERY_STRING", ""))
        return Response("200 OK", "application/octet-stream", blocks(self._source, window))


def serve(
    answer: Callable[[Environ], Response], environ: Environ, start_response: Any
) -> Iterable[bytes]:
    """Answers a request by a function, or by a line if that fails."""
    method = environ.get("REQUEST_METHOD")
    try:
        if method in ("GET", "HEAD"):
            response = answer(environ)
        else:
            response = error(
                "405 Method Not Allowed", "expected GET or HEAD", ("Allow", "GET, HEAD")
            )
    except BadRequestError as bad:
        response = error(bad.status, str(bad))
    except Exception:
        log.exception("fitwatch: a request failed")
        response = error("500 Internal Server Error", "the server failed; its log says why")
    headers = [
        ("Content-Type", response.content_type),
        *HEADERS,
        *response.headers,
    ]
    if not response.status.startswith("304"):
        headers.append(("Content-Length", str(len(response.content))))
    start_response(response.status, headers)
    return [] if method == "HEAD" else [response.content]


def error(status: str, text: str, *headers: tuple[str, str]) -> Response:
    """An answer of one line."""
    return Response(status, TEXT, f"{text}\n".encode(), headers)


def _not_found(environ: Environ) -> Response:
    return error("404 Not Found", "there is nothing at this address")


def _file(file: PageFile, environ: Environ) -> Response:
    etag = ("ETag", file.etag)
    if environ.get("HTTP_IF_NONE_MATCH") == file.etag:
        return Response("304 Not Modified", file.content_type, b"", (etag,))
    vary = ("Vary", "Accept-Encoding")
    if _takes_gzip(environ):
        compressed = ("Content-Encoding", "gzip")
        return Response("200 OK", file.content_type, file.compressed, (etag, vary, compressed))
    return Response("200 OK", file.content_type, file.content, (etag, vary))


def _takes_gzip(environ: Environ) -> bool:
    return "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "")
