"""`python -m fitwatch`: the command line."""

import argparse
import os
import sys
from importlib.util import find_spec

BACKENDS = ("tensorflow", "jax", "torch")
NEEDED = {"sklearn": "scikit-learn", "matplotlib": "matplotlib", "tensorboard": "tensorboard"}


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
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
    demo.add_argument("--epochs", type=_positive, default=100, help="at most (default: 100)")
    demo.add_argument("--seed", type=_seed, default=1, help="of weights and shuffling (default: 1)")
    script = commands.add_parser("run", help="run an unchanged script with fitwatch enabled")
    script.add_argument("script", help="path of a Python script")
    script.add_argument("arguments", nargs=argparse.REMAINDER, help="arguments of the script")
    view = commands.add_parser("view", help="show recorded runs in a browser")
    view.add_argument("logdir", help="a folder of runs, or one file")
    view.add_argument(
        "--host", default="127.0.0.1", help="the address to listen at (default: %(default)s)"
    )
    view.add_argument("--port", type=_port, help="the port (default: 6007, or a free one)")
    watch = commands.add_parser("watch", help="live charts of a folder of runs in the terminal")
    watch.add_argument("logdir", help="a folder of runs, or a file of one")
    watch.add_argument("--tags", metavar="REGEX", help="only tags that contain this")
    watch.add_argument("--log", action="store_true", help="begin with logarithmic axes")
    watch.add_argument("--once", action="store_true", help="print one frame, also into a pipe")
    watch.add_argument("--width", type=_size, help="of the frame of --once, in columns")
    watch.add_argument("--height", type=_size, help="of the frame of --once, in lines")
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["run"] and len(given) > 1 and not given[1].startswith("-"):
        # Without argparse, which would interpret options of the script.
        from fitwatch._cli.run_script import run as run_script

        return run_script(given[1], given[2:])
    options = parser.parse_args(given)
    if options.command == "run":
        parser.error(f"run needs a script first; got {options.script!r}")
    if options.command == "view":
        if find_spec("werkzeug") is None:
            parser.error("view needs werkzeug: pip install 'fitwatch[view]'")
        from fitwatch._cli.view import run as run_view

        return run_view(options.logdir, options.host, options.port)
    if options.command == "watch":
        if not options.once and (options.width or options.height):
            parser.error("--width and --height are for --once")
        from fitwatch._cli.watch import run as run_watch

        return run_watch(
            options.logdir,
            tags=options.tags,
            log=options.log,
            once=options.once,
            width=options.width,
            height=options.height,
        )

    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if find_spec(options.backend) is None:
        missing.append(options.backend)
    if missing:
        parser.error(f"the demo needs {', '.join(missing)}: pip install {' '.join(missing)}")
    # Keras reads it on import, which happens in the next line.
    os.environ["KERAS_BACKEND"] = options.backend
    from fitwatch._cli.demo import run

    return run(out=options.out, epochs=options.epochs, seed=options.seed)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more; got {number}")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**16:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535; got {number}")
    return number


def _size(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1000:
        raise argparse.ArgumentTypeError(f"must be from 1 to 1000; got {number}")
    return number


def _seed(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"must be from 0 to 2**32 - 1; got {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
