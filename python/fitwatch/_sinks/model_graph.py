"""The graph of a model's layers, from the model's JSON.

TensorBoard builds such a graph from the same JSON, but not for every Keras 3 model, and shows it
only on demand; it shows this one at once.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple


class Node(NamedTuple):
    """A layer. Its name is prefixed with the enclosing models, separated by slashes."""

    name: str
    kind: str
    """The name of the layer's class."""
    inputs: list[str]


def nodes(model: dict[str, Any]) -> list[Node]:
    """All layers of the parsed result of `model.to_json()`, including those of nested models."""
    found: list[Node] = []
    _add(model, "", [], found)
    return found


def _add(model: dict[str, Any], scope: str, inputs: list[str], found: list[Node]) -> list[str]:
    """Adds a model's layers, fed by the layers `inputs`; returns the names of its output layers."""
    config = model["config"]
    outputs: dict[str, list[str]] = {}
    before = inputs
    for layer in config["layers"]:
        name = layer["config"]["name"]
        if "inbound_nodes" in layer:
            # A layer that is called on its own output is not in `outputs` yet.
            ends = _ends(layer["inbound_nodes"])
            sources = [source for end in ends for source in outputs.get(end, [])]
        else:  # a Sequential model
            sources = before
        if layer["class_name"] == "InputLayer":
            sources = inputs if len(inputs) < 2 else inputs[_inputs(config).index(name) :][:1]
        if "layers" in layer["config"]:
            outputs[name] = _add(layer, f"{scope}{name}/", sources, found)
        else:
            distinct = list(dict.fromkeys(sources))
            found.append(Node(scope + name, layer["class_name"], distinct))
            outputs[name] = [scope + name]
        before = outputs[name]
    if "output_layers" not in config:
        return before
    return [source for end in _ends(config["output_layers"]) for source in outputs[end]]


def _inputs(config: dict[str, Any]) -> list[str]:
    return list(_ends(config.get("input_layers", [])))


def _ends(value: Any) -> Iterator[str]:
    """The names of layers in a structure of `[name, node, tensor]` entries."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        if len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
            yield value[0]
        else:
            for part in value:
                yield from _ends(part)
