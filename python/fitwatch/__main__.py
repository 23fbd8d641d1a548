"""`python -m fitwatch`: the command line."""

import argparse
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fitwatch._cli import arguments

if TYPE_CHECKING:
    from fitwatch._cli.resume_dir import ResumeDir

# Modules that the demo needs, and their packages.
NEEDED = {"sklearn": "scikit-learn", "matplotlib": "matplotlib", "tensorboard": "tensorboard"}


def main(given: list[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    given = sys.argv[1:] if given is None else given
    of_program: list[str] = []
    if given[:1] == ["run"]:
        given, of_program = arguments.split(given)
    parser = arguments.parser()
    options = parser.parse_args(given)
    if options.command == "run":
        return _run(parser, options, of_program)
    commands = {"demo": _demo, "view": _view, "watch": _watch, "export": _export}
    return commands[options.command](parser, options)


def _run(
    parser: argparse.ArgumentParser, options: argparse.Namespace, of_program: list[str]
) -> int:
    from fitwatch._cli.failure import fail
    from fitwatch._cli.module import Module
    from fitwatch._cli.run import run
    from fitwatch._cli.script import Script

    if options.resume_dir is None and options.save_interval is not None:
        parser.error("--save-interval is for --resume-dir")
    resume_dir = _resume_dir(parser, options)
    if options.module is not None:
        return run(Module(options.module, of_program), resume_dir)
    try:
        script = Script(options.script, of_program)
    except OSError as error:
        return fail("run", f"can't open {options.script!r}: {error.strerror}")
    return run(script, resume_dir)


def _resume_dir(parser: argparse.ArgumentParser, options: argparse.Namespace) -> "ResumeDir | None":
    if options.resume_dir is None:
        return None
    from fitwatch._cli.resume_dir import INTERVAL, ResumeDir

    interval = INTERVAL if options.save_interval is None else options.save_interval
    try:
        return ResumeDir(options.resume_dir, interval)
    except ValueError as error:
        parser.error(str(error))


def _demo(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    missing = [name for module, name in NEEDED.items() if find_spec(module) is None]
    if find_spec(options.backend) is None:
        missing.append(options.backend)
    if missing:
        parser.error(f"the demo needs {', '.join(missing)}: pip install {' '.join(missing)}")
    # Keras reads it on import, which happens in the next line.
    os.environ["KERAS_BACKEND"] = options.backend
    from fitwatch._cli.demo import run

    return run(out=options.out, epochs=options.epochs, seed=options.seed)


def _view(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if find_spec("werkzeug") is None:
        parser.error("view needs werkzeug: pip install 'fitwatch[view]'")
    from fitwatch._cli.view import run

    return run(options.logdir, options.host, options.port)


def _watch(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    if not options.once and (options.width or options.height):
        parser.error("--width and --height are for --once")
    from fitwatch._cli.watch import run

    return run(
        options.logdir,
        tags=options.tags,
        log=options.log,
        once=options.once,
        width=options.width,
        height=options.height,
    )


def _export(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from fitwatch._cli.export import export

    return export(options.logdir, options.to)


if __name__ == "__main__":
    sys.exit(main())
