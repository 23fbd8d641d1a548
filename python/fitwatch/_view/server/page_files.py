"""The files of the page: a fixed table, read once and compressed beforehand."""

import gzip
import hashlib
from importlib.resources import files
from typing import NamedTuple

TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
}


class PageFile(NamedTuple):
    """A file, as it is sent."""

    content_type: str
    content: bytes
    compressed: bytes
    etag: str


def page_files() -> dict[str, PageFile]:
    """All files of the page by their address, such as `/index.js`."""
    table = {}
    for file in files("fitwatch._view").joinpath("page").iterdir():
        suffix = file.name.rpartition(".")[2]
        if suffix in TYPES:
            content = file.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            table[f"/{file.name}"] = PageFile(
                TYPES[suffix], content, gzip.compress(content, mtime=0), etag
            )
    return table
