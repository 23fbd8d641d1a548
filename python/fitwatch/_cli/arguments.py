"""The arguments of `python -m fitwatch`."""

import argparse
import math
import os
from collections.abc import Callable

BACKENDS = ("tensorflow", "jax", "torch")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; `command` is the one that was given."""
    parser = argparse.ArgumentParser(prog="python -m fitwatch", description="fitwatch")
    commands = parser.add_subparsers(dest="command", required=True)

    backend = os.environ.get("KERAS_BACKEND")
    demo = commands.add_parser("demo", help="train on real digits with everything on")
    demo.add_argument(
        "--backend",
        choices=BACKENDS,
        default=backend if backend in BACKENDS else BACKENDS[0],
        help="the Keras backend to train with (default: %(default)s)",
    )
    demo.add_argument("--out", help="the folder to write (default: runs/demo-<time>)")
    demo.add_argument("--epochs", type=_whole(1), default=100, help="at most (default: 100)")
    demo.add_argument(
        "--seed",
        type=_whole(0, 2**32 - 1, "2**32 - 1"),
        default=1,
        help="of weights and shuffling (default: 1)",
    )

    run = commands.add_parser(
        "run",
        help="run an unchanged script or module with fitwatch enabled",
        usage="%(prog)s [-h] [--resume-dir DIR] [--save-interval SECONDS] (script | -m module) ...",
        epilog="Options of Python come before '-m fitwatch', those of fitwatch before the script "
        "or '-m module'; what follows is passed to it.",
        allow_abbrev=False,
    )
    run.add_argument(
        "--resume-dir",
        metavar="DIR",
        help="back up every fit() in this folder, and go on from there when the same command is "
        "run again",
    )
    run.add_argument(
        "--save-interval",
        type=_seconds,
        metavar="SECONDS",
        help="the least time between two backups of --resume-dir (default: 300)",
    )
    program = run.add_mutually_exclusive_group(required=True)
    program.add_argument("script", nargs="?", type=_path, help="path of a Python script")
    program.add_argument(
        "-m", dest="module", metavar="module", help="a module or package, as for 'python -m'"
    )
    run.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the program")

    view = commands.add_parser("view", help="show recorded runs in a browser")
    view.add_argument("logdir", help="a folder of runs, or one file")
    view.add_argument(
        "--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)"
    )
    port = _whole(0, 2**16 - 1)
    view.add_argument("--port", type=port, help="the port (default: 6007, or a free one)")

    watch = commands.add_parser("watch", help="show recorded runs in the terminal, live")
    watch.add_argument("logdir", help="a folder of runs, or one file")
    watch.add_argument("--tags", metavar="REGEX", help="only tags that contain this")
    watch.add_argument("--log", action="store_true", help="begin with logarithmic axes")
    watch.add_argument("--once", action="store_true", help="print one frame, also into a pipe")
    size = _whole(1, 1000)
    watch.add_argument("--width", type=size, help="of the frame of --once, in columns")
    watch.add_argument("--height", type=size, help="of the frame of --once, in lines")

    export = commands.add_parser("export", help="write recorded runs into one table")
    export.add_argument("logdir", help="a folder of runs, or one file")
    export.add_argument(
        "--to", required=True, metavar="FILE", help="the file to write, .parquet or .csv"
    )
    return parser


def split(given: list[str]) -> tuple[list[str], list[str]]:
    """The arguments up to the program, and the program's own, which argparse must not see."""
    place = 1
    while place < len(given) and given[place].startswith("-") and given[place] != "-":
        if given[place].startswith("-m"):  # the name is in the next argument, or follows at once
            place += given[place] == "-m"
            break
        place += 2 if given[place] in ("--resume-dir", "--save-interval") else 1
    return given[: place + 1], given[place + 1 :]


def _path(text: str) -> str:
    if text == "-":
        raise argparse.ArgumentTypeError(
            "must be the path of a file; code from the standard input is not supported"
        )
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds, 0 or more; got {text!r}")
    return seconds


def _whole(low: int, high: int | None = None, shown: str | None = None) -> Callable[[str], int]:
    limits = f"{low} or more" if high is None else f"from {low} to {shown or high}"

    def whole(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a whole number; got {text!r}") from None
        if number < low or (high is not None and number > high):
            raise argparse.ArgumentTypeError(f"must be {limits}; got {number}")
        return number

    return whole
