"""`python -m fitwatch export`: recorded runs as one table."""

import os

import fitwatch
from fitwatch._cli.failure import fail

# The method that writes a file, by its suffix.
WRITERS = {".parquet": "to_parquet", ".csv": "to_csv"}


def export(path: str, to: str) -> int:
    """Writes recorded runs into a file.

    Args:
        path: A folder of runs, or one file.
        to: The file to write: a Parquet file, or a CSV file by its suffix.

    Returns:
        The exit status: 0, or 2 if there is nothing to read or the file cannot be written.
    """
    writer = WRITERS.get(os.path.splitext(to)[1].lower())
    if writer is None:
        return fail("export", f"--to must end in {' or '.join(WRITERS)}; got {to!r}")
    try:
        runs = fitwatch.read(path)
        getattr(runs, writer)(to)
    except (OSError, ValueError, ImportError) as error:
        return fail("export", str(error))
    points = sum(len(scalars) for run in runs.values() for scalars in run.scalars.values())
    some = "run" if len(runs) == 1 else "runs"
    print(f"{to}: {points:,} points of {len(runs):,} {some}")
    return 0
