"""Every private seam of Keras that fitwatch leans on, one function each.

Nothing else in fitwatch imports `keras.src` or reads a private attribute of a model.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType, FunctionType, MethodType
from typing import Any, NamedTuple

import keras

# Keras's own classes by name, whatever takes their place in `keras.callbacks` later.
STOCK = {name: value for name, value in vars(keras.callbacks).items() if isinstance(value, type)}


def print_message(message: str, line_break: bool = True) -> None:
    """Prints the way Keras's own callbacks do: to stdout, or to the log if it is off.

    Of several processes that train together, rank 0 prints.
    """
    from fitwatch.distributed import is_writer

    if not is_writer():
        return
    try:
        from keras.src.utils.io_utils import print_msg
    except ImportError as error:
        raise _unsupported("keras.src.utils.io_utils.print_msg") from error
    print_msg(message, line_break=line_break)


def model_of(callback: Any) -> Any:
    """The callback's model, without the side effect of `callback.model`.

    On JAX that property copies every variable of the training state back into the model, which
    only a caller that reads or sets variables needs (a learning rate is one). On torch it unwraps a
    data-parallel model.
    """
    return callback.model if keras.config.backend() == "torch" else callback._model


def comparison() -> tuple[bool, bool] | None:
    """How this backend compares Python floats: `(in double precision, subnormals are zero)`.

    Found out by asking it. None for a float type narrower than float32, which the core does not
    know.
    """
    double = _less(1.0, 1.0 + 1e-12)
    if not double and not _less(1.0, 1.0 + 1e-6):
        return None
    subnormal = 1e-310 if double else 1e-40
    return double, not _less(0.0, subnormal)


def to_number(value: Any) -> Any:
    """A value of the logs as a float; one that is none as a NumPy array, or else as it is.

    The rule of Keras's `pythonify_logs`, but for an interrupt, which passes.
    """
    try:
        if keras.ops.is_tensor(value):
            value = keras.ops.convert_to_numpy(value)
        return float(value)
    except Exception:
        return value


def require_remote(path: str) -> None:
    """Sees to it that Keras can open a remote path.

    Raises:
        ValueError: TensorFlow is missing.
    """
    try:
        from keras.src.utils.module_utils import gfile
    except ImportError as error:
        raise _unsupported("keras.src.utils.module_utils.gfile") from error
    if not gfile.available:
        raise ValueError(f"the remote path {path!r} needs TensorFlow, which is not installed.")


def read_remote(path: str) -> bytes:
    """What is in a remote file; nothing if there is none."""
    from keras.src.utils import file_utils

    if not file_utils.exists(path):
        return b""
    with file_utils.File(path, "rb") as file:
        return bytes(file.read())


def write_remote(path: str, content: bytes) -> None:
    """Makes a remote file, in the place of an old one."""
    from keras.src.utils import file_utils

    with file_utils.File(path, "wb") as file:
        file.write(content)


def trainer_method(frame: FrameType) -> str | None:
    """The name of the trainer's method that a frame belongs to: fit, evaluate or predict."""
    name = frame.f_code.co_name
    if name not in ("fit", "evaluate", "predict"):
        return None
    return name if frame.f_globals.get("__name__", "").startswith("keras.") else None


def has_schedule(optimizer: Any) -> bool:
    """Whether an optimizer has a `LearningRateSchedule`, and so a rate that cannot be set."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)  # under loss scaling
    schedule = keras.optimizers.schedules.LearningRateSchedule
    return isinstance(getattr(inner, "_learning_rate", None), schedule)


def build_optimizer(model: Any) -> None:
    """Makes the optimizer's variables, as the first step of the training would."""
    strategy = getattr(model, "distribute_strategy", None)  # of TensorFlow
    with nullcontext() if strategy is None else strategy.scope():
        model.optimizer.build(model.trainable_variables)


def averaged_variables(model: Any) -> list[tuple[Any, Any]]:
    """The trained variables whose optimizer keeps an average of them, each with its average."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # under loss scaling
    pairs: list[tuple[Any, Any]] = []
    for inner in getattr(optimizer, "optimizers", [optimizer]):
        averages = getattr(inner, "_model_variables_moving_average", [])
        pairs += zip(inner._trainable_variables, averages, strict=False)
    return pairs


def has_averages_in(callback: Any) -> bool:
    """Whether a SwapEMAWeights has put the averages in the place of the trained weights."""
    return bool(callback._ema_weights_in_model)


def set_averages_in(callback: Any, value: bool) -> None:
    """Tells a SwapEMAWeights what the model has."""
    callback._ema_weights_in_model = value


# What Keras's own callbacks that are handed on have found out in a run, by class.
STATES = {
    "OrbaxCheckpoint": (
        "best",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
        "_total_batches_seen",
    ),
}


def state_names(callback: Any) -> tuple[str, ...]:
    """The attributes that make up the state of one of Keras's own callbacks; none of most."""
    classes = [cls.__name__ for cls in type(callback).__mro__ if STOCK.get(cls.__name__) is cls]
    return next((STATES[name] for name in classes if name in STATES), ())


def set_initial_epoch(model: Any, epoch: int | None) -> None:
    """Has `fit()` begin at an epoch, whatever it is told; None for where it is told to."""
    model._initial_epoch = epoch


def is_synced(model: Any) -> bool:
    """Whether the model's variables hold what the trainer trains with.

    JAX's trainer keeps the state to itself until somebody asks for the callback's model.
    """
    return keras.config.backend() != "jax" or getattr(model, "_jax_state_synced", True)


def sync_state(model: Any) -> None:
    """Brings the training state that JAX's trainer holds back to the model's variables."""
    if keras.config.backend() == "jax" and hasattr(model, "jax_state_sync"):
        model.jax_state_sync()


@contextmanager
def undistributed() -> Iterator[None]:
    """Hides the distribution from Keras, which puts what it makes on the devices of all processes.

    A process that saves alone would wait there for the others.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        yield
        return
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def is_scattered(model: Any) -> bool:
    """Whether no process alone has all of the model's weights."""
    if keras.config.backend() != "jax":
        return False
    values = [variable.value for variable in getattr(model, "variables", ())]
    return any(
        not getattr(value, "is_fully_addressable", True)
        and not getattr(value, "is_fully_replicated", True)
        for value in values
    )


def validation_steps(model: Any) -> int | None:
    """How many batches the validation inside `fit()` has; None if that is not known."""
    steps = getattr(getattr(model, "_eval_epoch_iterator", None), "num_batches", None)
    return steps if isinstance(steps, int) else None


def loss_tracker(model: Any) -> Any:
    """The metric that a train step hands the loss of its batch to; None if there is none."""
    return getattr(model, "_loss_tracker", None)


class Fit(NamedTuple):
    """A `fit()` that is going on."""

    frame: int
    """The identity of its frame."""
    owners: list[Any]
    """What goes when it does: as a rule the first one, as soon as it ends."""
    validates: bool
    """Whether it has data to validate with; `validation_split` has given it some by now."""


def fit_of(model: Any) -> Fit | None:
    """The `fit()` of this model that is calling; None if it is a loop of somebody's own."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if trainer_method(frame) == "fit" and frame.f_locals.get("self") is model:
            local = frame.f_locals
            found = [local.get(name) for name in ("callbacks", "epoch_iterator")]
            owners = [owner for owner in found if owner is not None]
            return Fit(id(frame), owners, local.get("validation_data") is not None)
        frame = frame.f_back
    return None


def is_own_function(function: Any) -> bool:
    """Whether a train function is one that Keras has made."""
    return is_library_code(function) and function.__code__.co_filename.startswith(KERAS)


def trace_of(value: Any) -> Any:
    """The trace of JAX that a value is a part of; None for one that is a number already."""
    return getattr(value, "_trace", None)


def build_train_function(model: Any, train_step: Any, around: Any) -> Any:
    """A train function as `fit()` makes it for a model, but of another step; the model stays as is.

    Args:
        model: A compiled model.
        train_step: Takes the place of `model.train_step`.
        around: Wraps the function that carries out one step, which is compiled already where steps
            are compiled one by one: JAX's, of state and data, and TensorFlow's, of data.
    """
    if not is_own_function(model.train_function):
        raise ValueError("its train function is not one that Keras has made")
    name = "_make_function" if keras.config.backend() == "jax" else "_autoconvert_optionals"
    make = getattr(model, name, None)
    if make is None:
        raise _unsupported(f"a trainer with {name}")
    # TensorFlow's gives a function for a step; JAX's a function that takes steps.
    changed = (lambda f: make(around(f))) if name == "_make_function" else lambda f: around(make(f))
    before = model.train_function
    try:
        with replaced(model, train_step=train_step, **{name: changed}):
            model.make_train_function(force=True)
        return model.train_function
    finally:
        model.train_function = before


@contextmanager
def replaced(instance: Any, **attributes: Any) -> Iterator[None]:
    """Gives an instance other attributes for a while, past whatever its class does about that."""
    own = vars(instance)
    before = {name: own[name] for name in attributes if name in own}
    own.update(attributes)
    try:
        yield
    finally:
        for name in attributes:
            own.pop(name, None)
        own.update(before)


# The public modules that hand callbacks on: Keras's, and what `tf.keras` and `tensorflow.keras` are
# made of. Each has names of its own, and may be imported late.
NAMESPACES = (
    "keras.callbacks",
    "keras._tf_keras.keras.callbacks",
    "tensorflow.keras.callbacks",
)


class Seams(NamedTuple):
    """Where Keras finds what `fitwatch.enable()` replaces."""

    lookup: Any
    """The module in which trainers look up `CallbackList`."""
    methods: list[tuple[type, str]]
    """The trainer's classes and methods that run hooks."""
    tracebacks: Any
    """The module that leaves Keras's frames out of tracebacks; None where it is another."""


def seams() -> Seams:
    """Finds them, and sees to it that they are what they have to be.

    Raises:
        RuntimeError: This version of Keras has something else there.
    """
    lookup: Any = sys.modules.get("keras.src.callbacks")
    stock = getattr(lookup, "CallbackList", None)
    if stock is None or stock is not keras.callbacks.CallbackList:
        raise _unsupported("keras.src.callbacks.CallbackList")
    methods = []
    for method in ("fit", "evaluate", "predict"):
        owners = [cls for cls in keras.Model.__mro__ if method in vars(cls)]
        trainer = next((cls for cls in owners if _looks_up(cls, lookup)), None)
        if trainer is None:
            raise _unsupported(f"a trainer that looks up keras.src.callbacks in its {method}()")
        # Tools put methods of theirs in front of the trainer's (MLflow: into keras.Model).
        methods += [(cls, method) for cls in owners[: owners.index(trainer) + 1]]
    tracebacks = sys.modules.get("keras.src.utils.traceback_utils")
    known = isinstance(getattr(tracebacks, "_EXCLUDED_PATHS", None), tuple)
    return Seams(lookup, methods, tracebacks if known else None)


def _folder(function: Any, levels: int) -> str:
    folder: str = function.__code__.co_filename
    for _ in range(levels):
        folder = os.path.dirname(folder)
    return folder + os.sep


# Where the code of fitwatch and of Keras lies, as functions have it: programs that are packed into
# one file have other paths there than modules have.
OURS = _folder(_folder, 1)
KERAS = _folder(keras.callbacks.Callback.set_params, 3)


def is_library_code(function: Any) -> bool:
    """Whether a function was written in fitwatch or in Keras.

    One that other code has put in its place is not, whatever `functools.wraps` has copied from the
    original; nor is a mock.
    """
    return is_function_in(function, (OURS, KERAS))


def is_function_in(function: Any, folders: tuple[str, ...]) -> bool:
    """Whether it is a plain function whose code lies in one of the folders, each with its slash."""
    return type(function) is FunctionType and function.__code__.co_filename.startswith(folders)


def is_as_keras_has_it(cls: type) -> bool:
    """Whether no other code has replaced a method of one of Keras's classes."""
    methods = (
        getattr(value, "__func__", value)  # of static methods and the like
        for value in vars(cls).values()
        if callable(value) and not isinstance(value, type)
    )
    return all(map(is_library_code, methods))


def is_default(callback: Any, name: str) -> bool:
    """Whether a hook of a callback is the empty one of `keras.callbacks.Callback`."""
    hook = getattr(callback, name)
    if type(hook) is not MethodType or hook.__self__ is not callback:
        return False
    return is_library_code(hook.__func__) and getattr(hook, "_is_default", False) is True


def model_json(model: Any) -> str:
    """The model's JSON, without importing TensorFlow where nobody else has.

    Keras looks while it serialises whether a value is a TensorFlow one, and imports TensorFlow for
    that if it is installed. Where it is not loaded yet, no value can be.
    """
    try:
        from keras.src.utils.module_utils import tensorflow
    except ImportError as error:
        raise _unsupported("keras.src.utils.module_utils.tensorflow") from error
    if "tensorflow" in sys.modules or "_available" not in vars(tensorflow):
        return str(model.to_json())
    before = tensorflow._available
    tensorflow._available = False
    try:
        return str(model.to_json())
    finally:
        tensorflow._available = before


def stop_batch_trace(context: Any) -> None:
    """Ends the profile of one batch, which Keras's TensorBoard callback began."""
    try:
        from keras.src.backend import tensorboard
    except ImportError as error:
        raise _unsupported("keras.src.backend.tensorboard") from error
    tensorboard.stop_batch_trace(context)


def _looks_up(trainer: type, lookup: Any) -> bool:
    module = sys.modules.get(trainer.__module__)
    return getattr(module, "callbacks_module", None) is lookup


def _less(a: float, b: float) -> bool:
    return bool(keras.ops.less(a, b))


def _unsupported(what: str) -> RuntimeError:
    return RuntimeError(
        f"fitwatch needs {what}, which Keras {keras.__version__} does not have. "
        "fitwatch is tested with Keras 3.13 to 3.15."
    )
