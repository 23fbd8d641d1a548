"""Executes the example notebook in a fresh kernel, and writes it back with its outputs.

The exit status is 1 if a cell fails. With `--check` nothing is written. Without it, output on
stderr (a warning) is a failure too, and nothing is written then.

The outputs are what a reader sees: the last state of a progress bar, and no log of TensorFlow's C++
code, which goes to the terminal. Metadata that depend on the machine or the date are removed, so
that a diff shows only what has changed.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOK = Path(__file__).with_name("digits.ipynb")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def main() -> int:
    """Reads the arguments and runs the notebook."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            coalesce_streams=True,
            record_timing=False,
            extra_arguments=["--IPKernelApp.capture_fd_output=False", "--log-level=ERROR"],
        )
        try:
            client.execute()
        except CellExecutionError as error:
            print(error, file=sys.stderr)
            return 1
    if check:
        return 0
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    warnings = [output.text for output in outputs if output.get("name") == "stderr"]
    if warnings:
        print("Not written, because cells wrote to stderr:", *warnings, sep="\n", file=sys.stderr)
        return 1
    for output in outputs:
        if output.output_type == "stream":
            lines = output.text.strip("\n").split("\n")
            output.text = "\n".join(line.rstrip() for line in lines) + "\n"
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
    nbformat.write(notebook, NOTEBOOK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
