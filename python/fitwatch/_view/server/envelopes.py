"""The envelopes of a tag, as bytes for the page."""

import struct

import numpy as np

from fitwatch._view.server.query import Window
from fitwatch._view.server.run_source import Run, RunSource


def blocks(source: RunSource, window: Window) -> bytes:
    """For each run in order a block: its length and a zero (32 bits each), and the envelope.

    A run that does not have the tag, or is not there any more, has a block without content.
    """
    parts = []
    for name in window.runs:
        content = _envelope(source, name, window)
        parts += [struct.pack("<II", len(content), 0), content]
    return b"".join(parts)


def _envelope(source: RunSource, name: str, window: Window) -> bytes:
    reader, run = source.reader, source.runs.get(name)
    if reader is None or run is None or window.tag not in run.tags:
        return b""
    bounds = _bounds(run, window)
    if bounds is None:
        return b""
    axis = "step" if window.axis == "step" else "wall"
    try:
        envelope = reader.envelope(name, window.tag, axis, *bounds, window.columns, window.halflife)
    except KeyError:  # it went away since the last refresh
        return b""
    return _relative(envelope, run.start or 0) if window.axis == "relative" else envelope


def _bounds(run: Run, window: Window) -> tuple[float, float] | None:
    """The range on the reader's axis; None if the run has no times on an axis of times."""
    summary = run.tags[window.tag]
    first, last, offset = summary["first_step"], summary["last_step"], 0.0
    if window.axis != "step":
        first, last = summary["first_time"], summary["last_time"]
        if first is None or run.start is None:
            return None
        offset = run.start if window.axis == "relative" else 0.0
    start = float(first) if window.start is None else window.start + offset
    stop = float(last) if window.stop is None else window.stop + offset
    return start, max(start, stop)


def _relative(envelope: bytes, start: float) -> bytes:
    """The envelope with x in seconds since the start of the run."""
    count = int.from_bytes(envelope[:4], "little")
    moved = bytearray(envelope)
    np.frombuffer(moved, "<f8", count, offset=8)[:] -= start
    return bytes(moved)
