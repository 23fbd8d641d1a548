"""`fitwatch.view()`: the page of the runs, in a notebook."""

import html
import importlib.util
import os
from typing import Any

from fitwatch import _check

_views: dict[str, "View"] = {}


class View:
    """The page of the runs under a path; a notebook shows it as the value of a cell.

    Attributes:
        url: The address of the page, on this computer.
    """

    def __init__(self, path: str) -> None:
        # They need werkzeug, which the extra `view` has.
        from fitwatch._view.server.local_server import LocalServer
        from fitwatch._view.server.run_source import RunSource

        source = RunSource(path)
        source.start()
        source.wait(2)
        self._path = path
        self._server = LocalServer(source)
        self._server.start()
        self.url = self._server.url

    def close(self) -> None:
        """Ends the server."""
        _views.pop(self._path, None)
        self._server.close()

    def __repr__(self) -> str:
        return f"<fitwatch.view: {self._path} at {self.url}>"

    def _repr_html_(self) -> str:
        address = html.escape(self.url, quote=True)
        style = "width: 100%; height: 720px; border: 1px solid #8884; border-radius: 6px"
        frame = f'<iframe src="{address}" title="fitwatch" style="{style}"></iframe>'
        # An empty frame says nothing: the notebook may run on another computer, or have ended.
        link = f'<a href="{address}" target="_blank" rel="noopener">{address}</a>'
        return (
            f"{frame}<small>{link} on the computer that runs this notebook, while it runs</small>"
        )


def view(path: Any) -> View:
    """Shows the runs under a path, every batch of them, in a notebook.

    The page is that of `python -m fitwatch view`: it comes from a server in this process, at
    127.0.0.1, which lives as long as the process. A second call for the same path gives the same
    server.

    Args:
        path: A folder of runs, or one file: what `fitwatch.read()` reads.

    Returns:
        An object that a notebook shows as a frame with the page. It has the page's address as
        `url`, for a browser, and `close()`, which ends the server.

    Raises:
        ImportError: werkzeug is not installed: `pip install 'fitwatch[view]'`.
        OSError: The path does not exist, or cannot be read.
        ValueError: There is nothing to read.

    Example:
        >>> import tempfile
        >>> import fitwatch
        >>> with fitwatch.EventFileWriter(tempfile.mkdtemp()) as writer:
        ...     writer.add_series("loss", [1.0, 0.5], [0, 1])
        >>> view = fitwatch.view(writer.path.parent)
        >>> view.url.startswith("http://127.0.0.1:")
        True
        >>> view.close()
    """
    if importlib.util.find_spec("werkzeug") is None:
        raise ImportError("view() needs werkzeug: pip install 'fitwatch[view]'")
    key = os.path.abspath(_check.folder("path", path))
    if key not in _views:
        _views[key] = View(key)
    return _views[key]
