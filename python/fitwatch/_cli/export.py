"""`python -m fitwatch export`: recorded runs as one table."""

import os
import sys

# The method of `fitwatch.read(...)` that writes a file, by its suffix.
WRITERS = {".parquet": "to_parquet", ".csv": "to_csv"}


def export(logs: str, to: str) -> int:
    """Writes the runs under a path into a Parquet or CSV file; returns the exit status."""
    import fitwatch

    writer = WRITERS.get(os.path.splitext(to)[1].lower())
    if writer is None:
        print(f"fitwatch: --to must end in {' or '.join(WRITERS)}; got {to!r}.", file=sys.stderr)
        return 2
    try:
        runs = fitwatch.read(logs)
        getattr(runs, writer)(to)
    except (OSError, ValueError, ImportError) as error:
        print(f"fitwatch: {error}", file=sys.stderr)
        return 2 if isinstance(error, (OSError, ValueError)) else 1
    points = sum(len(scalars) for run in runs.values() for scalars in run.scalars.values())
    print(f"{to}: {points:,} points of {len(runs):,} runs")
    return 0
