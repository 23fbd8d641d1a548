"""Messages between processes, with threads in their place."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from fitwatch import distributed
from fitwatch._distributed.exchange import Exchange, ProcessError
from fitwatch._enable import settings


class Store:
    """A store in memory, which knows how much is in it."""

    def __init__(self):
        self.texts = {}
        self.changed = threading.Condition()

    def set(self, key, text):
        with self.changed:
            self.texts[key] = text
            self.changed.notify_all()

    def get(self, key, seconds):
        with self.changed:
            self.changed.wait_for(lambda: key in self.texts, timeout=max(seconds, 0))
            return self.texts.get(key)

    def delete(self, key):
        with self.changed:
            self.texts.pop(key, None)

    def delete_folder(self, folder, keys):
        for key in keys:
            assert key.startswith(f"{folder}/")
            self.delete(key)


@pytest.fixture
def ranks(monkeypatch):
    """Makes the exchanges of some ranks."""

    def make(size, deadline=30.0, store=None):
        monkeypatch.setattr(settings, "deadline", deadline)
        store = store or Store()
        made = all_at_once(*(partial(Exchange, rank, size, store) for rank in range(size)))
        everything.extend(made)
        return made, store

    everything = []
    yield make
    for one in everything:
        one.close()


def all_at_once(*actions):
    """What each action returns or raises."""

    def outcome(action):
        try:
            return action()
        except ProcessError as error:
            return str(error)

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(outcome, actions))


def test_all_messages_come_to_all_and_what_was_read_is_deleted(ranks):
    made, store = ranks(3)

    def talk(one):
        return [one.gather(f"round {n}", {"from": one._rank, "nan": [n]}) for n in range(50)]

    heard = all_at_once(*(lambda one=one: talk(one) for one in made))
    assert heard[0] == heard[1] == heard[2]
    assert heard[0][49] == [{"from": rank, "nan": [49]} for rank in range(3)]
    # Of two blocks of 16 rounds: the messages of the others, and the answer.
    assert len(store.texts) <= 2 * 16 * 3
    all_at_once(*(one.end for one in made))
    again, store = ranks(3, store=store)
    assert store.texts == {}
    assert all_at_once(*(partial(one.gather, "x", 1) for one in again)) == [[1, 1, 1]] * 3


def test_threads_end_with_the_exchange(ranks):
    def busy():
        return {thread for thread in threading.enumerate() if thread.name == "fitwatch: busy"}

    before = busy()  # those of the test before may still be ending
    made, _ = ranks(3)
    assert len(busy() - before) == 3
    made[0].close()
    made[1].leave("")
    made[2].end()
    deadline = time.monotonic() + 10
    while busy():
        assert time.monotonic() < deadline


def test_a_training_that_failed_leaves_nothing_to_the_next_one(ranks, monkeypatch):
    store = Store()
    monkeypatch.setattr(settings, "deadline", 0.3)
    # One has never come to the first training; and the other way round to the second one.
    with pytest.raises(ProcessError, match="rank 1 did not come to the beginning"):
        Exchange(0, 2, store)
    with pytest.raises(ProcessError, match="rank 0 did not come to the beginning"):
        Exchange(1, 2, store)
    (first, second), _ = ranks(2, store=store)
    assert all_at_once(lambda: first.gather("x", 1), lambda: second.gather("x", 2)) == [[1, 2]] * 2


def test_who_has_failed_comes_to_no_other_round(ranks):
    (first, second), _ = ranks(2, deadline=0.3)
    for _ in range(2):
        with pytest.raises(ProcessError):
            first.gather("x", 1)
    with pytest.raises(ProcessError, match="rank 1 did not come to x"):
        second.gather("x", 1)


def test_who_does_not_come_is_named_by_all(ranks):
    (first, second, _), _ = ranks(3, deadline=1.0)
    began = time.monotonic()
    said = all_at_once(*(lambda one=one: one.gather("the end", None) for one in (first, second)))
    assert time.monotonic() - began < 3
    for one in said:
        assert one.startswith("rank 2 did not come to the end within 1 seconds, where rank ")


def test_several_that_do_not_come_are_named(ranks):
    (first, *_), _ = ranks(4, deadline=0.5)
    with pytest.raises(ProcessError, match="ranks 1, 2, 3 did not come to the end"):
        first.gather("the end", None)


def test_the_first_one_is_named_if_it_does_not_come(ranks):
    (_, second, third), _ = ranks(3, deadline=0.5)
    for said in all_at_once(lambda: second.gather("x", 1), lambda: third.gather("x", 1)):
        assert "rank 0 did not come to x" in said


@pytest.mark.parametrize("who", [0, 1, 2])
def test_who_leaves_says_why_at_once(ranks, who):
    made, _ = ranks(3)
    began = time.monotonic()
    others = [one for one in made if one._rank != who]
    said = all_at_once(
        lambda: made[who].leave("the disk is full"),
        *(lambda one=one: one.gather("x", 1) for one in others),
    )
    assert said[1:] == [f"rank {who} has left the training: the disk is full"] * 2
    assert time.monotonic() - began < 10


def test_who_is_somewhere_else_is_told_so(ranks):
    made, _ = ranks(2)
    said = all_at_once(lambda: made[0].gather("epoch 1", 1), lambda: made[1].gather("epoch 2", 1))
    assert said[0] == said[1]
    assert said[0].startswith("rank 1 is at epoch 2, and rank 0 at epoch 1: ")


@pytest.mark.parametrize("who", [0, 1])
def test_who_is_busy_is_waited_for(ranks, who):
    made, _ = ranks(2, deadline=0.8)

    def late():
        for _ in range(2):
            with made[who].busy():
                time.sleep(1)
            time.sleep(0.2)
        return made[who].gather("x", who)

    def waits():
        with pytest.warns(UserWarning, match=f"waiting for rank {who}, busy in the callbacks"):
            return made[1 - who].gather("x", 1 - who)

    assert all_at_once(late, waits) == [[0, 1]] * 2


def test_nobody_is_waited_for_without_end(ranks):
    (first, second), _ = ranks(2, deadline=0.4)
    began = time.monotonic()
    with (
        second.busy(),
        pytest.warns(UserWarning, match="waiting for rank 1"),
        pytest.raises(ProcessError, match="it has been busy in its callbacks for that long"),
    ):
        first.gather("x", 1)
    assert 4 <= time.monotonic() - began < 8


def test_who_died_while_it_was_busy_is_not(ranks):
    (first, second), _ = ranks(2, deadline=0.8)
    with second.busy():
        time.sleep(0.5)
        second._heartbeat.stop()  # no other rank hears of it any more
        began = time.monotonic()
        with pytest.raises(ProcessError, match="rank 1 did not come"):
            first.gather("x", 1)
        assert time.monotonic() - began < 2


def test_late_ones_have_one_deadline_together(ranks):
    (first, second, _), _ = ranks(3, deadline=1.0)

    def late():
        time.sleep(0.7)
        return second.gather("x", 1)

    began = time.monotonic()
    said = all_at_once(lambda: first.gather("x", 0), late)
    assert all("rank 2 did not come to x" in one for one in said)
    assert time.monotonic() - began < 2.5


def test_a_store_that_is_gone_is_an_error_that_says_so(ranks):
    class Gone(Store):
        def set(self, key, text):
            raise OSError("connection refused")

    (_, second), _ = ranks(2)
    second._store = Gone()
    with pytest.raises(ProcessError, match="the store of the training, which rank 0 runs, cannot"):
        second.gather("x", 1)
    second.leave("")  # says nothing, and raises nothing


def test_settings_are_taken_as_a_whole_or_not_at_all():
    before = settings.deadline, settings.agree_every
    for deadline in (0, -1, float("inf"), float("nan"), "60", 10**10):
        with pytest.raises((TypeError, ValueError), match="deadline must be"):
            distributed.configure(deadline=deadline, agree_every=7)
    for every in (0, -1, 2.5, None.__class__, 10**30):
        with pytest.raises((TypeError, ValueError), match="agree_every must be"):
            distributed.configure(deadline=7, agree_every=every)
    assert (settings.deadline, settings.agree_every) == before
