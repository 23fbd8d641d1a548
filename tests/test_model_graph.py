"""The graph of a model's layers: chains, branches, models in models."""

import json

import keras
import pytest

from fitwatch._sinks import model_graph

layers = keras.layers


def edges(model):
    """Each layer with what goes into it."""
    graph = model_graph.nodes(json.loads(model.to_json()))
    return {node.name: node.inputs for node in graph}


def test_a_chain():
    model = keras.Sequential([keras.Input((4,), name="in"), layers.Dense(3, name="a")])
    assert edges(model) == {"in": [], "a": ["in"]}
    model = keras.Sequential([layers.Dense(3, name="a"), layers.ReLU(name="b")])
    assert edges(model) == {"a": [], "b": ["a"]}
    graph = model_graph.nodes(json.loads(model.to_json()))
    assert [node.kind for node in graph] == ["Dense", "ReLU"]


def test_branches_shared_layers_and_operations():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = layers.Dense(4, name="shared")
    added = layers.Add(name="add")([shared(a), shared(b)])
    scaled = keras.ops.multiply(added, 2.0)
    outputs = {"out": layers.Dense(1, name="out")(scaled), "raw": added}
    found = edges(keras.Model({"first": a, "second": b}, outputs))
    (product,) = set(found) - {"a", "b", "shared", "add", "out"}
    assert found == {
        "a": [], "b": [], "shared": ["a", "b"], "add": ["shared"], product: ["add"],
        "out": [product],
    }  # fmt: skip


def test_a_model_in_a_model_in_a_model():
    core = keras.Sequential([keras.Input((4,), name="i"), layers.Dense(4, name="d")], name="core")
    x, y = keras.Input((4,), name="x"), keras.Input((4,), name="y")
    inner = keras.Model([x, y], [core(x), layers.ReLU(name="r")(y)], name="inner")
    p, q = keras.Input((4,), name="p"), keras.Input((4,), name="q")
    joined = layers.Concatenate(name="join")(inner([p, q]))
    assert edges(keras.Model([p, q], joined)) == {
        "p": [], "q": [],
        "inner/x": ["p"], "inner/y": ["q"],
        "inner/core/i": ["inner/x"], "inner/core/d": ["inner/core/i"],
        "inner/r": ["inner/y"],
        "join": ["inner/core/d", "inner/r"],
    }  # fmt: skip


@pytest.mark.parametrize("wrapper", [layers.TimeDistributed, layers.Bidirectional])
def test_a_layer_around_a_layer_is_one(wrapper):
    inside = layers.LSTM(2) if wrapper is layers.Bidirectional else layers.Dense(2)
    model = keras.Sequential([keras.Input((3, 4), name="in"), wrapper(inside, name="around")])
    assert edges(model) == {"in": [], "around": ["in"]}


def test_a_model_that_is_called_on_its_own_output():
    inner = keras.Sequential([keras.Input((4,), name="i"), layers.Dense(4, name="d")], name="inner")
    inputs = keras.Input((4,), name="in")
    found = edges(keras.Model(inputs, inner(inner(inputs))))
    assert found == {"in": [], "inner/i": ["in"], "inner/d": ["inner/i"]}
