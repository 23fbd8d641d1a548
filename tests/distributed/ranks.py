"""Runs trainings in several processes on this machine, and always ends them."""

import os
import socket
import time
import traceback
from contextlib import ExitStack, contextmanager, nullcontext

import keras
import numpy as np
from killed import Child

import fitwatch
from fitwatch import distributed

BACKEND = keras.config.backend()

# How often tests repeat operations that could hang occasionally.
ROUNDS = int(os.environ.get("FITWATCH_ROUNDS", "2"))


class Failed(str):
    """An error as text."""


def together(job, *arguments, size=2):
    """What `job(rank, *arguments)` returns in each of several processes."""
    results = errors_of(job, *arguments, size=size)
    assert not any(isinstance(result, Failed) for result in results), results
    return results


def errors_of(job, *arguments, size=2):
    """The same for a job that raises; gives the errors as text."""
    with started(job, *arguments, size=size) as ranks:
        return [rank.hear() for rank in ranks]


@contextmanager
def started(job, *arguments, size=2):
    """The processes themselves; none lives longer than the block."""
    with ExitStack() as children:
        port = free_port()
        yield [
            children.enter_context(Child(_run, rank, size, port, job, arguments))
            for rank in range(size)
        ]


def free_port():
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


def _run(say, rank, size, port, job, arguments):
    join(rank, size, port)
    try:
        said = job(rank, *arguments)
    except Exception as error:
        traceback.print_exc()
        said = Failed(f"{type(error).__name__}: {error}")
    say(said)
    time.sleep(600)  # until it is ended: the others may need it


def join(rank, size, port):
    """Makes this process one of several, as a user's script would."""
    if BACKEND == "jax":
        import jax

        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(f"localhost:{port}", size, rank)
        distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
        keras.distribution.set_distribution(distribution)
    else:
        import torch

        torch.set_num_threads(1)
        torch.distributed.init_process_group(
            "gloo", init_method=f"tcp://localhost:{port}", rank=rank, world_size=size
        )


def digits(rank, size=2, count=384):
    """A process's own share of real data: samples to train with, and to validate."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype("float32")[rank::size], y[rank::size].astype("int32")
    return (x[:count], y[:count]), (x[count : count + 128], y[count : count + 128])


def digits_model(rate=0.1, **options):
    """The same in every process; gradients are averaged over them."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.SGD(rate) if BACKEND == "jax" else _averaged(rate)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def _averaged(rate):
    """Averages the gradients, which Keras leaves to torch's users."""
    from torch import distributed

    class AveragedSGD(keras.optimizers.SGD):
        def apply(self, grads, trainable_variables=None):
            for grad in grads:
                distributed.all_reduce(grad)
                grad /= distributed.get_world_size()
            super().apply(grads, trainable_variables)

    return AveragedSGD(rate)


def fit(rank, own, *, enabled=True, model=None, epochs=6, every=5, deadline=30.0, **options):
    """Trains with callbacks; returns the trained epochs and batches, and the weights."""
    distributed.configure(deadline=deadline, agree_every=every)
    train, validation = digits(rank)
    model = model or digits_model()
    batches = []
    counter = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda b, logs: batches.append(b))
    options = {"batch_size": 32, "shuffle": False, "verbose": 0, **options}
    with fitwatch.enabled() if enabled else nullcontext():
        history = model.fit(
            *train, validation_data=validation, epochs=epochs, callbacks=[counter, *own], **options
        )
    return {
        "epochs": history.epoch,
        "history": history.history,
        "batches": batches,
        "weights": weights_of(model),
        "rate": float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
    }


def weights_of(model):
    """All weights in one list, to be compared bit by bit."""
    return np.concatenate([weights.ravel() for weights in model.get_weights()]).tolist()


def files_in(folder):
    return sorted(
        os.path.relpath(os.path.join(where, name), folder)
        for where, _, names in os.walk(folder)
        for name in names
    )
