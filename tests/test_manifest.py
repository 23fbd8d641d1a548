"""The private names that fitwatch uses are there: in the installed versions, on this backend."""

import ast
import inspect
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import check_private_names
import keras
import pytest

from fitwatch import callbacks
from fitwatch._keras.manifest import MANIFEST, Private

KERAS = tuple(map(int, keras.__version__.split(".")[:2]))
MISSING = object()


def owner_of(entry):
    """What has the name."""
    owner = import_module(entry.module)
    for part in filter(None, entry.inside.split(".")):
        owner = getattr(owner, part)
    return owner


def defined(owner, name):
    """What an object or a class has under a name, properties as they are; MISSING if nothing."""
    return inspect.getattr_static(owner, name, MISSING)


@cache
def of_instances(cls):
    """The attributes that the modules of a class, and of those it derives from, set and read."""
    modules = {sys.modules[base.__module__] for base in cls.__mro__}
    sources = [inspect.getsource(m) for m in modules if hasattr(m, "__file__")]
    names = {"Store": set(), "Load": set(), "Del": set()}
    for node in (node for source in sources for node in ast.walk(ast.parse(source))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "self":
            names[type(node.ctx).__name__].add(node.attr)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr":
            names["Load"].add(getattr(node.args[1], "value", None))
    return names


def is_attribute(entry, owner):
    if defined(owner, entry.name) is not MISSING:
        return True
    return inspect.isclass(owner) and entry.name in of_instances(owner)["Store"]


def is_local(entry, owner):
    code = inspect.unwrap(owner).__code__
    return entry.name in code.co_varnames + code.co_cellvars


def is_method(entry, owner):
    return callable(defined(owner, entry.name))


def is_name(entry, owner):
    there = hasattr(owner, entry.name)
    return there or find_spec(f"{entry.owner}.{entry.name}") is not None


def is_overridden(entry, owner):
    """Whether Keras has and calls it, and ours takes the same arguments."""
    theirs = defined(owner, entry.name)
    if theirs is MISSING or entry.name not in of_instances(owner)["Load"]:
        return False
    ours = defined(getattr(callbacks, entry.inside, owner), entry.name)
    assert entry.module != "keras.callbacks" or ours is not theirs, "fitwatch does not override it"
    return isinstance(theirs, property) or parameters(ours) == parameters(theirs)


def is_setting(entry, owner):
    if not inspect.isclass(owner):
        return hasattr(owner, entry.name)
    return entry.name in of_instances(owner)["Load"]


def parameters(function):
    return list(inspect.signature(function).parameters)


def is_keyword(entry, owner):
    return entry.name in inspect.unwrap(owner).__code__.co_consts


LOOKS = {
    "attribute": is_attribute,
    "keyword": is_keyword,
    "local": is_local,
    "method": is_method,
    "name": is_name,
    "overridden": is_overridden,
    "setting": is_setting,
}


def require(entry):
    """Fails with what is lost, where a name is not what fitwatch takes it for."""
    owner = None
    try:
        owner = owner_of(entry)
        there = LOOKS[entry.kind](entry, owner)
        if there and entry.keywords:
            there = set(entry.keywords) <= set(parameters(getattr(owner, entry.name)))
    except (ImportError, AttributeError):
        there = False
    package = entry.module.partition(".")[0]
    version = sys.modules[package].__version__ if package in sys.modules else "?"
    assert there, (
        f"{package} {version} has no {entry.owner} {entry.name} ({entry.kind}) as fitwatch needs "
        f"it: without it, {entry.without}"
    )


@pytest.mark.parametrize("entry", MANIFEST, ids=lambda entry: f"{entry.owner}-{entry.name}")
def test_is_there(entry):
    if entry.backends and keras.config.backend() not in entry.backends:
        pytest.skip(f"used on {', '.join(entry.backends)}")
    if find_spec(entry.module.partition(".")[0]) is None:
        pytest.skip("not installed")
    if entry.since is not None and tuple(map(int, entry.since.split("."))) > KERAS:
        pytest.skip(f"since Keras {entry.since}")
    require(entry)


@pytest.mark.parametrize(
    ("owner", "kind", "name"),
    [
        ("keras.callbacks:Callback", "attribute", "_no_such_name"),
        ("keras:Model.fit", "local", "no_such_local"),
        ("keras:Model.evaluate", "keyword", "_no_such_keyword"),
        ("keras.callbacks:TensorBoard", "method", "_no_such_method"),
        ("keras.src.saving.saving_lib", "name", "_no_such_function"),
        ("keras.src.no_such_module", "name", "anything"),
        ("keras.callbacks:NoSuchCallback", "method", "_save_model"),
        ("keras.callbacks:ModelCheckpoint", "overridden", "_no_such_method"),
        # There, but Keras does not use it.
        ("keras.callbacks:ModelCheckpoint", "overridden", "set_params"),
        ("keras:Model", "setting", "_no_such_setting"),
    ],
)
def test_a_name_that_is_gone_is_named_with_what_is_lost(owner, kind, name):
    entry = Private(owner, name, kind, "nothing is saved", (), None, ())
    message = rf"^keras {keras.__version__} has no {owner} {name} .* without it, nothing is saved"
    with pytest.raises(AssertionError, match=message):
        require(entry)


def test_an_argument_that_is_gone():
    owner = "keras.src.saving.saving_lib"
    entry = Private(owner, "_save_state", "name", "nothing is saved", (), None, ("to_where",))
    with pytest.raises(AssertionError, match="without it, nothing is saved"):
        require(entry)


USES = {
    "import keras.src.backend": "keras.src.backend is private",
    "from jax._src import distributed": "jax._src.distributed is private",
    "from torch.utils import _pytree": "torch.utils._pytree is private",
    "sys.modules['tensorflow.python.ops']": "tensorflow.python.ops is private",
    "from tensorboard.backend import event_processing": "event_processing is private",
    "from wandb.proto import wandb_internal_pb2": "wandb_internal_pb2 is private",
    "model._loss_tracker": "_loss_tracker is private",
    "model._not_in_the_manifest": "_not_in_the_manifest is private",
    "getattr(model, '_jax_state_synced')": "_jax_state_synced is private",
    "class C:\n def f(self, model): return hasattr(model, '_loss_tracker')": (
        "_loss_tracker is private"
    ),
    "array.unsafe_buffer_pointer()": "unsafe_buffer_pointer is private",
    "frame.f_locals": "locals of other code are private",
    "class C(keras.callbacks.TensorBoard):\n def f(self): self._start_batch": (
        "_start_batch is one of Keras's TensorBoard, and is not in the manifest"
    ),
    "class M:\n def _close_writers(self): 0\nclass C(M, keras.callbacks.TensorBoard): 0": (
        "_close_writers is one of Keras's TensorBoard"
    ),
}


@pytest.mark.parametrize("source", USES)
def test_private_names_outside_of_their_folder_are_found(source, tmp_path):
    (tmp_path / "module.py").write_text(source)
    (complaint,) = check_private_names.misused(tmp_path)
    assert USES[source] in complaint


def test_what_is_fitwatch_own_or_inherited_is_not(tmp_path):
    source = """
class Mixin:
    _model: object
    def _own(self): return self._model
class Board(Mixin, keras.callbacks.TensorBoard):
    def _log_weights(self, epoch): super()._log_weights(epoch)
Board()._own()
from tensorboard.compat.proto import event_pb2
    """
    (tmp_path / "module.py").write_text(source)
    assert not [*check_private_names.misused(tmp_path)]


def test_in_their_folder_the_manifest_has_them_all(tmp_path):
    (tmp_path / "_keras").mkdir()
    (tmp_path / "_keras" / "module.py").write_text("model._loss_tracker, model._no_such_name")
    (complaint,) = check_private_names.misused(tmp_path)
    assert "_no_such_name is not in the manifest" in complaint
