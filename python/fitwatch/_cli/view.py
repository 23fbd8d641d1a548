"""`python -m fitwatch view`: the page of the runs, by itself."""

import errno

from fitwatch._cli.failure import fail
from fitwatch._view.server.local_server import LOOPBACK, LocalServer
from fitwatch._view.server.run_source import RunSource

PORT = 6007  # beside TensorBoard's


def run(path: str, host: str, port: int | None) -> int:
    """Serves the page until Ctrl-C.

    Args:
        path: A folder of runs, or one file.
        host: The address to listen at.
        port: The port; None for 6007, or a free one if that is taken.

    Returns:
        The exit status: 2 if there is nothing to read, or the address cannot be listened at.
    """
    source = RunSource(path)
    source.start()
    try:
        source.wait(1)  # so that a wrong path is an error before there is an address
    except (OSError, ValueError) as error:
        return fail("view", _reason(error))
    try:
        server = _server(source, host, port)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # then Python repeats the address
        return fail(
            "view", f"cannot listen at {host}, port {PORT if port is None else port}: {reason}"
        )
    server.start()
    try:
        print(f"fitwatch: {path} at {server.url} (Ctrl-C ends it)", flush=True)
        if host not in LOOPBACK:
            print("fitwatch: other computers can read these runs: --host is not this one only")
        source.wait()
        server.join()
    except KeyboardInterrupt:
        return 0
    except (OSError, ValueError) as error:
        return fail("view", _reason(error))
    finally:
        server.close()
    return 0


def _server(source: RunSource, host: str, port: int | None) -> LocalServer:
    try:
        return LocalServer(source, host, PORT if port is None else port)
    except OSError as error:
        if port is not None or error.errno != errno.EADDRINUSE:
            raise
        return LocalServer(source, host)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
