"""A small disk that tests fill up or make read-only."""

import contextlib
import os
import subprocess
import sys

import pytest

BALLAST = "ballast"


def _mount(*arguments):
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk can be mounted: {done.stderr.strip()}")


@contextlib.contextmanager
def mounted(folder):
    """Has a disk of a megabyte in a folder."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("a disk can be mounted on Linux, as root")
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        # At once, even if a file is still open.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def make_read_only(folder):
    _mount("-o", "remount,ro", str(folder))


def occupy(folder, free):
    """Fills the disk until at most this many bytes are free."""
    disk = os.statvfs(folder)
    with open(os.path.join(folder, BALLAST), "wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - free)


def release(folder):
    """Gives the space back."""
    os.remove(os.path.join(folder, BALLAST))


def files(folder):
    """The sizes of all files, by their paths."""
    return {
        os.path.relpath(os.path.join(parent, name), folder): os.path.getsize(
            os.path.join(parent, name)
        )
        for parent, _, names in os.walk(folder)
        for name in names
        if name != BALLAST
    }
