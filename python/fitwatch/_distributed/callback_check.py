"""Checks that the processes of a training have compatible callbacks."""

from typing import Any

import keras

from fitwatch._distributed.voter import Voter
from fitwatch._engine.attachment import attachment_of, parts_of
from fitwatch._engine.naming import named
from fitwatch._engine.plan import ALIASES
from fitwatch._engine.step_user import StepUser
from fitwatch._keras import stock

_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", *ALIASES.values())


def describe(callback_list: Any, agree_every: int) -> dict[str, Any]:
    """Describes the callbacks of this process for the others, as JSON."""
    callbacks = list(callback_list.callbacks)
    agreeing = [(name, one, voter) for name, one in named(callbacks) if (voter := voter_of(one))]
    params = getattr(callback_list, "params", None) or {}
    return {
        "callbacks": [name for name, _, _ in agreeing],
        "needed": [name for name, one, voter in agreeing if voter.is_needed(one)],
        "inside": any(map(_may_stop_within_epoch, callbacks)),
        "every": agree_every,
        "counts": {name: params.get(name) for name in ("epochs", "steps")},
    }


def check_counts(answers: list[dict[str, Any]], names: list[str]) -> None:
    """Checks that all processes train the same number of epochs, and of batches where known.

    Raises:
        ValueError: The numbers differ.
    """
    for name in names:
        counts = [answer["counts"][name] for answer in answers]
        for rank, count in enumerate(counts):
            if None not in (count, counts[0]) and count != counts[0]:
                raise ValueError(
                    "every process must train the same epochs and batches, or one waits forever: "
                    f"rank {rank} has {name}={count}, rank 0 has {name}={counts[0]}."
                )


def shared_names(answers: list[dict[str, Any]]) -> list[str]:
    """The names, in order, of the callbacks that decide and that all processes have.

    Raises:
        ValueError: A process lacks a callback that all need, or has another order.
    """
    lists = [answer["callbacks"] for answer in answers]
    everywhere = [name for name in lists[0] if all(name in names for names in lists)]
    for rank, answer in enumerate(answers):
        for name in answer["needed"]:
            if name not in everywhere:
                without = next(other for other, names in enumerate(lists) if name not in names)
                raise ValueError(
                    f"{name} must be in the callbacks of every process: rank {rank} has it, rank "
                    f"{without} does not. (Only rank 0 writes files, even if all have it.)"
                )
        if [name for name in answer["callbacks"] if name in everywhere] != everywhere:
            raise ValueError(
                "the callbacks must be in the same order in every process: rank "
                f"{rank} has {answer['callbacks']}, rank 0 has {lists[0]}."
            )
    return everywhere


def voter_of(callback: Any) -> Voter | None:
    """The voter of a callback that decides together with other processes; None for any other."""
    attachment = attachment_of(callback)
    return attachment if isinstance(attachment, Voter) else None


def needs_coordination(callback: Any) -> bool:
    """Whether a stock list with this callback must coordinate with those of other processes."""
    # On JAX all processes must run the same train function.
    losses = any(steps.probes(callback) for steps in parts_of(callback, StepUser))
    return voter_of(callback) is not None or (losses and keras.config.backend() == "jax")


def has_own_batches(callback: Any) -> bool:
    """Whether other code, which may stop the training, is called for every batch."""
    if issubclass(type(callback), stock.STOCK["TerminateOnNaN"]) and voter_of(callback) is None:
        return True
    hooks = (getattr(getattr(callback, hook), "__func__", None) for hook in _BATCH_HOOKS)
    return not all(map(stock.is_library_code, hooks))


def _may_stop_within_epoch(callback: Any) -> bool:
    voter = voter_of(callback)
    inside = voter is not None and voter.decides_within_epoch(callback)
    return has_own_batches(callback) or inside
