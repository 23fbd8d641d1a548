"""`python -m fitwatch`: the command line."""

import argparse
import os
import sys
from importlib.util import find_spec

from fitwatch._cli import arguments

# Modules that the demo needs, and their packages.
NEEDED = {"sklearn": "scikit-learn", "matplotlib": "matplotlib", "tensorboard": "tensorboard"}


def main(given: list[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    given = sys.argv[1:] if given is None else given
    of_script: list[str] = []
    if given[:1] == ["run"]:
        given, of_script = arguments.split(given)
    parser = arguments.parser()
    options = parser.parse_args(given)
    if options.command == "run":
        return _run(parser, options, of_script)
    commands = {"demo": _demo, "view": _view, "watch": _watch, "export": _export}
    return commands[options.command](parser, options)


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace, of_script: list[str]) -> int:
    from fitwatch._cli.run_script import run

    if options.resume_dir is None:
        if options.save_interval is not None:
            parser.error("--save-interval is for --resume-dir")
        return run(options.script, of_script)
    from fitwatch._cli.resume_dir import INTERVAL, ResumeDir

    try:
        resume_dir = ResumeDir(
            options.resume_dir,
            INTERVAL if options.save_interval is None else options.save_interval,
        )
    except ValueError as error:
        parser.error(str(error))
    return run(options.script, of_script, resume_dir)


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
