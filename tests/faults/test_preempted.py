"""SIGTERM at random moments of a training that is resumed: nothing is lost or repeated."""

import os
import random
import signal
import time
from contextlib import suppress

import keras
import pytest
from killed import KILLS, Child
from preempted import Moments, Training

import fitwatch

if "FITWATCH_KILLS" not in os.environ:
    KILLS = 3

EPOCHS = 8


class Slow(Moments):
    """Takes a while for each batch, so that signals come everywhere, and says when it begins."""

    def __init__(self, say):
        super().__init__()
        self.say = say

    def _reached(self, *moment):
        if moment[0] in ("batch", "validation"):
            time.sleep(0.002)
        if moment == ("begin",) or (moment[0] == "batch" and len(self.trained) == 1):
            self.say(moment)


def trains(say, folder, cache):
    """Trains until it is ended, or to the end; says what was trained, and the result."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # one that comes after the training is ignored
    if keras.config.backend() == "jax":
        import jax  # compiles only once for all processes

        jax.config.update("jax_compilation_cache_dir", cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    fitwatch.enable()
    slow = Slow(say)
    training = Training(folder, slow, save_freq=False)
    try:
        result = training.fit(epochs=EPOCHS)
    except SystemExit:
        say((slow.trained, None))
        raise
    say((slow.trained, result))


def end(folder, cache, kill):
    """Runs a process that gets a signal at a random moment; gives what it has said."""
    with Child(trains, str(folder), cache) as child:
        assert child.hear() == ("begin",)
        heard = []
        # The first batch takes long, so every other signal comes later.
        if kill % 2:
            heard.append(child.hear())
        if kill < KILLS:  # otherwise it comes to its end
            time.sleep(random.random() * (0.15 if kill % 2 else 1.5))
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGTERM)
        heard += child.hear_all()
        trained, result = heard[-1]
        assert child.exit_code() == (0 if result else 128 + signal.SIGTERM)
    return trained, result


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    with Child(trains, str(tmp_path_factory.mktemp("whole")), cache) as child:
        return child.hear_all()[-1]


def test_it_ends_as_a_training_that_was_not_ended(tmp_path, whole, cache):
    random.seed(0)
    kills = runs = 0
    while kills < KILLS:
        folder = tmp_path / str(runs)
        folder.mkdir()
        runs += 1
        trained, result = [], None
        while result is None:
            more, result = end(folder, cache, kills)
            trained += more
            kills += result is None
        assert trained == whole[0]
        assert result == whole[1]
    print(f"{kills} signals in {runs} trainings")
