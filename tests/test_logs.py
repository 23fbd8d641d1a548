"""The dict of logs that a user's batch hook gets."""

import copy
import json
import pickle

import keras
import pytest
from scalars import backend_scalar

from fitwatch import callbacks
from fitwatch._engine.logs import Logs


class Keeper(keras.callbacks.Callback):
    """Keeps the logs of the last batch, as they come."""

    def on_train_batch_end(self, batch, logs=None):
        self.logs = logs


def logs_of(source):
    keeper = Keeper()
    callbacks.CallbackList([keeper]).on_train_batch_end(0, source)
    return keeper.logs


@pytest.fixture
def logs():
    return logs_of({"mae": backend_scalar(2.0), "loss": backend_scalar(0.5), "name": "x"})


PLAIN = {"loss": 0.5, "mae": 2.0, "name": "x"}

WAYS = {
    "getitem": lambda logs: {key: logs[key] for key in logs},
    "get": lambda logs: {key: logs.get(key) for key in logs.keys()},  # noqa: SIM118
    "items": lambda logs: list(logs.items()) and {k: v for k, v in logs.items()},  # noqa: C416
    "values": lambda logs: dict(zip(logs, logs.values(), strict=True)),
    "dict": dict,
    "dict of pairs": lambda logs: dict(logs.items()),
    "keywords": lambda logs: (lambda **kwargs: kwargs)(**logs),
    "display": lambda logs: {**logs},
    "or": lambda logs: logs | {},
    "ror": lambda logs: {} | logs,
    "update": lambda logs: (d := {}).update(logs) or d,
    "ior": lambda logs: exec("d = {}; d |= logs", {"logs": logs}, scope := {}) or scope["d"],
    "copy": lambda logs: logs.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda logs: pickle.loads(pickle.dumps(logs)),
    "json": lambda logs: json.loads(json.dumps(logs)),
    "repr": lambda logs: eval(repr(logs)),
    "str": lambda logs: eval(str(logs)),
    "format": lambda logs: eval(f"{logs}"),
    "pop": lambda logs: {key: logs.pop(key) for key in list(logs)},
    "popitem": lambda logs: dict(reversed([logs.popitem() for _ in range(len(logs))])),
    "setdefault": lambda logs: {key: logs.setdefault(key, 9.0) for key in logs},
    "sorted": lambda logs: dict(sorted(logs.items())),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_to_read_gives_floats(logs, way):
    read = way(logs)
    assert type(read) is dict
    assert read == PLAIN
    assert list(read) == list(PLAIN)  # in Keras's order
    assert type(read["loss"]) is float


def test_it_is_a_dict(logs):
    assert isinstance(logs, dict)
    assert len(logs) == 3
    assert "loss" in logs
    assert "nothing" not in logs
    assert logs == PLAIN == logs
    assert logs == PLAIN
    assert logs == logs_of({"name": "x", "loss": 0.5, "mae": 2.0})
    assert logs != {**PLAIN, "loss": 0.6}
    assert logs != 1
    assert bool(logs)
    assert not logs_of(None)
    assert logs.get("nothing") is None
    assert logs.get("nothing", 1) == 1
    assert "{loss:.1f}".format(**logs) == "{loss:.1f}".format_map(logs) == "0.5"
    with pytest.raises(KeyError, match="nothing"):
        logs["nothing"]
    with pytest.raises(TypeError, match="unhashable"):
        hash(logs)
    with pytest.raises(KeyError):
        logs.pop("nothing")
    assert logs.pop("nothing", 5) == 5


def test_what_is_written_stays_as_it_is(logs):
    mine = backend_scalar(7.0)
    logs["mine"] = mine
    assert logs["mine"] is mine
    assert dict(logs)["mine"] is mine
    logs.update(loss=mine, other=1)
    assert logs["loss"] is mine
    logs |= {"mae": mine}
    assert logs["mae"] is mine
    assert logs.setdefault("new", mine) is mine
    del logs["new"]
    assert "new" not in logs
    logs.clear()
    assert logs == {}


def test_a_value_that_is_not_read_is_not_converted(monkeypatch):
    reads = []
    monkeypatch.setattr("fitwatch._engine.readers.reader", lambda: Reader(reads))
    logs = Logs()
    dict.__setitem__(logs, "loss", "raw")
    dict.__setitem__(logs, "mae", "raw")
    assert "loss" in logs
    assert list(logs) == ["loss", "mae"]
    assert reads == []
    assert [logs["loss"], logs["loss"]] == [1.0, 1.0]
    assert reads == ["raw"]  # once


class Reader:
    def __init__(self, reads):
        self._reads = reads

    def read(self, value):
        self._reads.append(value)
        return 1.0


def test_a_value_that_lives_is_copied_at_once():
    """On torch a metric's result may be the parameter that the next batch overwrites."""
    variable = keras.Variable(1.0)
    source = {"loss": variable if keras.config.backend() != "torch" else variable.value}
    logs = logs_of(source)
    variable.assign(2.0)
    assert logs["loss"] == 1.0


def test_a_loop_may_reuse_its_dict():
    source = {"loss": 1.0}
    logs = logs_of(source)
    source["loss"] = 2.0
    assert logs["loss"] == 1.0


def test_functions_on_trees_see_a_dict(logs):
    logs.pop("name")
    doubled = keras.tree.map_structure(lambda value: value * 2, logs)
    assert doubled == {"loss": 1.0, "mae": 4.0}
    assert keras.tree.flatten(logs) == [0.5, 2.0]
    if keras.config.backend() == "jax":
        import jax

        assert jax.tree.map(lambda value: value * 2, logs) == {"loss": 1.0, "mae": 4.0}
