"""The memory of this process and of its devices, in bytes; None where it cannot be known."""

import re
import sys
from pathlib import Path

from fitwatch._keras import device_memory as devices

_STATUS = Path("/proc/self/status")


def rss() -> int | None:
    """The resident memory of this process. Known on Linux."""
    return _in_status("VmRSS")


def rss_peak() -> int | None:
    """The largest resident memory of this process so far. Known on Linux and macOS."""
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in KiB on other systems
    # On Linux `getrusage` is no better: it also has the peak of the process that started this one.
    return _in_status("VmHWM")


def device_memory() -> int | None:
    """The memory that arrays take on all devices of this process."""
    known = devices.of_all_devices()
    return known and known.current


def device_memory_peak() -> int | None:
    """The sum of the devices' peaks so far."""
    known = devices.of_all_devices()
    return known and known.peak


def _in_status(field: str) -> int | None:
    """A field of Linux's file about this process, which has KiB."""
    try:
        found = re.search(rf"^{field}:\s*(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None
