"""`BackupAndRestore(save_before_preemption=True)`: a signal ends the program after a backup."""

import signal
import threading

import keras
import pytest
from preempted import EPOCHS, Moments, Training, X, Y

import fitwatch
from fitwatch import callbacks

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="signals of Unix")

BATCHES = 10
ALL = [(epoch, batch) for epoch in range(EPOCHS) for batch in range(BATCHES)]
CODE = 128 + signal.SIGTERM


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}
    yield
    assert before == {number: signal.getsignal(number) for number in before}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with fitwatch.enabled():
        return Training(str(tmp_path_factory.mktemp("whole"))).fit()


def end(folder, *at, number=signal.SIGTERM, **options):
    """A run that a signal ends; gives the moments that it has seen."""
    moments = Moments(at, number)
    fit = options.pop("fit", {})
    with pytest.raises(SystemExit) as raised:
        Training(str(folder), moments, **options).fit(**fit)
    assert raised.value.code == 128 + number
    return moments


# The moment of the signal, and the last hook that is called then.
MOMENTS = {
    ("begin",): ("batch", 0, 0),
    ("batch", 0, 0): ("batch", 0, 0),
    ("batch", 1, 4): ("batch", 1, 4),
    ("batch", 1, 9): ("validation", 1, 0),
    ("validation", 1, 2): ("validation", 1, 2),
    ("validation", 2, 4): ("validation", 2, 4),
    ("epoch end", 1): ("epoch end", 1),
    ("epoch end", 2): ("epoch end", 2),
    ("epoch", 1): ("batch", 1, 0),
    ("end",): ("end",),
}


@pytest.mark.parametrize("at", MOMENTS, ids=lambda at: "-".join(map(str, at)))
def test_it_ends_at_once_and_the_resumed_run_ends_as_one_that_was_not_ended(tmp_path, whole, at):
    with fitwatch.enabled():
        ended = end(tmp_path, *at)
        assert ended.seen[-1] == MOMENTS[at]
        resumed = Moments()
        result = Training(str(tmp_path), resumed).fit()
    assert ended.trained + resumed.trained == ALL
    assert result == whole


@pytest.mark.parametrize("kind", ["stock list", "a list of one's own"])
@pytest.mark.parametrize("at", [("batch", 1, 4), ("validation", 1, 2), ("epoch end", 0)])
def test_without_enable(tmp_path, whole, kind, at):
    def train(moments):
        training = Training(str(tmp_path), moments)
        if kind != "stock list":
            training.callbacks = callbacks.CallbackList(
                training.callbacks, add_history=True, model=training.model, epochs=EPOCHS
            )
        return training.fit()

    ended, resumed = Moments(at), Moments()
    with pytest.raises(SystemExit):
        train(ended)
    assert ended.seen[-1] == at
    assert train(resumed) == whole
    assert ended.trained + resumed.trained == ALL
