"""The graph of a model's layers, out of the JSON that Keras makes of it.

TensorBoard makes such a graph of the same JSON, but not of every model of Keras 3, and does not
show it before it is asked to; this one it shows at once.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple


class Node(NamedTuple):
    """A layer. The parts of its name before the last slash are the models that it is in."""

    name: str
    kind: str
    """The name of its class."""
    inputs: list[str]


def nodes(model: dict[str, Any]) -> list[Node]:
    """All layers of a model, those of models in it too.

    Args:
        model: What `model.to_json()` gives, parsed.
    """
    found: list[Node] = []
    _add(model, "", [], found)
    return found


def _add(model: dict[str, Any], scope: str, inputs: list[str], found: list[Node]) -> list[str]:
    """Adds the layers of a model; the names of those that give its outputs.

    Args:
        model: A model's entry in the JSON.
        scope: What comes before the names of its layers.
        inputs: The names of the layers that give its inputs.
        found: Where to.
    """
    config = model["config"]
    outputs: dict[str, list[str]] = {}
    before = inputs
    for layer in config["layers"]:
        name = layer["config"]["name"]
        if "inbound_nodes" in layer:
            # One that is called on its own output is not there yet.
            ends = _ends(layer["inbound_nodes"])
            sources = [source for end in ends for source in outputs.get(end, [])]
        else:  # one after the other
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
    """The layers that are named in a structure, as `[name, node, tensor]`."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        if len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
            yield value[0]
        else:
            for part in value:
                yield from _ends(part)
