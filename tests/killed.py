"""Processes that are killed at random moments, each of them once.

Importing Keras takes seconds, and a process that has used it has threads and cannot be forked. So a
server that has imported the modules, but not used them, forks all of these processes.
"""

import itertools
import math
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import threading
import time

KILLS = int(os.environ.get("FITWATCH_KILLS", "5"))

# How long a process may take until it says something, in seconds: for one that hangs.
PATIENCE = 120


def _processes():
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # TensorFlow too: where it is installed, Keras imports it on every backend when it saves.
    on_torch = os.environ.get("KERAS_BACKEND") == "torch"  # the two in one server end it
    heavy = [] if on_torch else ["tensorflow"]
    context.set_forkserver_preload([*heavy, "keras", "h5py", "pytest", "fitwatch.callbacks"])
    return context


_PROCESSES = _processes()


class Child:
    """A process that runs `target(say, *arguments)`; what it says is heard here.

    It does not live longer than the `with` block.
    """

    def __init__(self, target, *arguments):
        self._ear, mouth = _PROCESSES.Pipe(duplex=False)
        self._scratch = tempfile.TemporaryDirectory()
        self._process = _PROCESSES.Process(
            target=_run, args=(self._scratch.name, target, mouth.send, *arguments)
        )
        self._process.start()
        mouth.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self._ear.close()
        self._scratch.cleanup()

    @property
    def pid(self):
        return self._process.pid

    def hear(self):
        """What it says next."""
        assert self._ear.poll(PATIENCE), "it hangs"
        try:
            return self._ear.recv()
        except EOFError:
            raise AssertionError(f"it has ended: {self.exit_code()}") from None

    def hear_all(self):
        """What it says until it is dead."""
        heard = []
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self._ear.poll(deadline - time.monotonic()), "it hangs"
            try:
                heard.append(self._ear.recv())
            except (EOFError, OSError):  # it may be killed in the middle of a word
                return heard

    def exit_code(self):
        """Its exit status; for a signal, the negative number."""
        self._process.join(PATIENCE)
        return self._process.exitcode

    def kill(self):
        self._process.kill()
        self._process.join()


def _run(scratch, target, say, *arguments):
    # Keras has a temporary folder for every save, which one that is killed leaves behind.
    tempfile.tempdir = scratch
    target(say, *arguments)


def killed(target, *arguments, kill):
    """Runs `target(say, *arguments, inside)` until it is killed; gives all that it has said.

    The first is what it says when it is ready. The moment is a random one: of the time, or, with
    every other `kill`, of the calls that it makes. The first finds what takes long, the other one
    what is over in no time.
    """
    inside = kill % 2 == 1
    with Child(target, *arguments, inside) as child:
        ready, first = child.hear(), child.hear()
        if not inside:
            time.sleep(random.random() / 10)
            child.kill()
        rest = child.hear_all()
        assert child.exit_code() == -signal.SIGKILL
    return [ready, first, *rest]


class Doomed:
    """In such a process: says how far it is, and with `inside` is the one that kills it."""

    def __init__(self, say, inside):
        self._say = say
        self._inside = inside
        self._said = 0
        self._calls = 0
        self._last = math.inf

    def reached(self, number):
        """Says that a step is done; they are all alike."""
        # Neither in the first step, which is slower; in the second one calls are counted.
        self._said += 1
        if self._inside and self._said == 1:
            threading.setprofile(self._count)
            sys.setprofile(self._count)
        elif self._inside and self._said == 2:
            self._last = self._calls + random.SystemRandom().randrange(self._calls)
        self._say(number)

    def repeat(self, step, first, late=0):
        """Does `step(number)` again and again; that it is done is known `late` steps later."""
        for number in itertools.count(first):
            step(number)
            self.reached(number - late)

    def _count(self, *_):
        self._calls += 1
        if self._calls >= self._last:
            os.kill(os.getpid(), signal.SIGKILL)
