"""Messages between processes, with threads in their place."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from fitwatch import _exchange, _settings
from fitwatch._exchange import Exchange, ProcessError


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


@pytest.fixture
def ranks(monkeypatch):
    """Makes the exchanges of some ranks, which have begun as many trainings."""

    def make(size, deadline=30.0, store=None):
        monkeypatch.setattr(_settings, "deadline", deadline)
        store = store or Store()
        made = []
        for rank in range(size):
            monkeypatch.setattr(_exchange, "_sessions", count(7))
            made.append(Exchange(rank, size, store))
        return made, store

    return make


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
    # A message of each rank, and the answer.
    assert len(store.texts) <= 4
    assert threading.active_count() < 10


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
    made, store = ranks(2, deadline=0.5)

    def late():
        with made[who].busy():
            time.sleep(2)
        return made[who].gather("x", who)

    assert all_at_once(late, lambda: made[1 - who].gather("x", 1 - who)) == [[0, 1]] * 2
    assert not any("busy" in key for key in store.texts)


def test_who_died_while_it_was_busy_is_not(ranks):
    (first, second), _ = ranks(2, deadline=0.4)
    with second.busy():
        time.sleep(0.5)
        second._beats._store = Store()  # nobody hears of it any more
        began = time.monotonic()
        with pytest.raises(ProcessError, match="rank 1 did not come"):
            first.gather("x", 1)
        assert time.monotonic() - began < 2


def test_a_store_that_is_gone_is_an_error_that_says_so(ranks):
    class Gone(Store):
        def set(self, key, text):
            raise OSError("connection refused")

    (_, second), _ = ranks(2, store=Gone())
    with pytest.raises(ProcessError, match="the store of the training, which rank 0 keeps, cannot"):
        second.gather("x", 1)
    second.leave("")  # says nothing, and raises nothing
