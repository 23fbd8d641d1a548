"""Common decisions of all processes of a training."""

import weakref
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import keras

from fitwatch import _core
from fitwatch._distributed import callback_check
from fitwatch._distributed.averages import AveragedValues
from fitwatch._distributed.exchange import Exchange
from fitwatch._distributed.voter import Voter
from fitwatch._distributed.world import World, print_message
from fitwatch._distributed.world import world as find_world
from fitwatch._enable import settings
from fitwatch._engine.after_batch import after_batches
from fitwatch._engine.hooks_around import wrap_hooks
from fitwatch._engine.naming import named
from fitwatch._engine.plan import Form, recorder_of
from fitwatch._engine.probes import Probe, probe_of
from fitwatch._engine.step_kinds import Kind
from fitwatch._engine.step_user import StepUser, probes_of
from fitwatch._keras import trainer
from fitwatch._keras.learning_rate import optimizers, rate_of
from fitwatch._keras.optimizer import has_schedule


class Coordinator:
    """Takes one process through the points at which all processes agree.

    When training begins, they agree on which callbacks all have. Inside an epoch, every
    `agree_every` batches where a process may stop there, they agree on stopping and exchange what
    monitors that count in batches have seen. At the end of an epoch they agree on stopping and on
    the learning rate. Values local to a process (all on torch; on JAX those that a callback adds to
    the logs) are averaged before monitors judge them, so that all take the same decision.

    Args:
        callback_list: The list, of Keras or of fitwatch.
        world: The processes.
    """

    def __init__(self, callback_list: Any, world: World) -> None:
        self._list = weakref.ref(callback_list)
        # The number of this process, the number of processes, where they exchange messages, and
        # whether each logs values of its own data.
        self.rank, self.size, self._store, self.averages = world
        self._exchange: Exchange | None = None
        # One entry for each hook or validation that keeps this process busy.
        self._busy: list[ExitStack] = []
        # Owns the wrapped end of a batch where no compiled list plans it.
        self._batch_hook_owner = object()
        # Names of the callbacks that all processes have, by `id`.
        self._shared: dict[int, str] = {}
        # Batches between two agreements; `_core.Due` reads it by this name.
        self.save_freq = 0
        self._due = _core.Checkpoint()
        # The current epoch, and the batch of the last agreement in it.
        self._epoch = self._last = 0
        # Whether training has begun, and whether batches are being trained.
        self._has_begun = self._is_inside = False
        # Whether this process wants to stop, and whether all have agreed to.
        self._wants_to_stop = self._stops = False
        self._values = AveragedValues(self)
        # Takes the per-batch losses here where another process needs them.
        self._steps = _Steps()
        wrap_hooks(
            callback_list,
            self,
            before={
                "on_train_begin": self.begin,
                "on_epoch_begin": self._begin_busy,
                "on_test_begin": self._begin_busy,
                "on_epoch_end": self._before_epoch_end,
                "on_train_end": self._before_train_end,
            },
            after={
                "on_train_begin": self._after_train_begin,
                "on_epoch_begin": self._after_epoch_begin,
                "on_test_end": self._end_busy,
                "on_epoch_end": self._after_epoch_end,
            },
            failed=self.leave,
        )

    def begin(self, logs: Any = None) -> None:
        """Agrees on which callbacks all processes have, unless that was done for this fit.

        Raises:
            ValueError: A process lacks a callback that all need.
            ProcessError: A process is missing.
        """
        if self._exchange is not None and not self._has_begun:
            return  # another callback has begun this fit
        self._end()
        self._has_begun = False
        self._exchange = Exchange(self.rank, self.size, self._store)
        if (joined := after_batches(self._callback_list)) is not None:
            joined.validations.together = self
        weakref.finalize(self._callback_list, self._exchange.close).atexit = False
        self._begin_busy()
        self._due, self._shared = _core.Checkpoint(), {}
        self._is_inside = self._wants_to_stop = self._stops = False
        try:
            self._agree_on_callbacks()
        except BaseException:
            self._end()
            raise

    def _agree_on_callbacks(self) -> None:
        message = callback_check.describe(self._callback_list, settings.agree_every)
        answers = self.gather("the beginning of the training", message)
        # On torch the user's code synchronizes the steps, which may differ in number.
        callback_check.check_counts(answers, ["epochs"] if self.averages else ["epochs", "steps"])
        shared = callback_check.shared_names(answers)
        agreeing = dict(named(self._callbacks()))
        self._shared = {id(agreeing[name]): name for name in shared}
        inside = any(answer["inside"] for answer in answers)
        self.save_freq = answers[0]["every"] if inside else 0

    def gather(self, topic: str, message: Any) -> list[Any]:
        """Exchanges messages; returns those of all ranks, by rank.

        Raises:
            ProcessError: A process is missing.
        """
        if self._exchange is None:
            raise RuntimeError("fitwatch: on_train_begin must be called first.")
        return self._exchange.gather(topic, message)

    def shares(self, callback: Any) -> bool:
        """Whether all processes have a callback."""
        return id(callback) in self._shared

    def busy(self) -> AbstractContextManager[None]:
        """A block of long work in this process, for which the others wait beyond the deadline."""
        return nullcontext() if self._exchange is None else self._exchange.busy()

    def stop(self) -> None:
        """Stops the training; called instead of `model.stop_training = True`."""
        if self._is_inside:
            self._wants_to_stop = True
        else:
            self._model.stop_training = True

    def leave(self, error: BaseException) -> None:
        """Tells the other processes that an exception has ended the training in this one."""
        if self._exchange is not None:
            self._exchange.leave(f"{type(error).__name__}: {error}")
            self._end()

    def averaged_epoch_logs(self, callback: Any, logs: dict[str, Any]) -> dict[str, Any]:
        """The logs of an epoch, with values that are local to a process averaged."""
        if not self.shares(callback):
            return logs
        names = {name for one, voter in self._voters() for name in voter.monitored(one)}
        return self._values.of_epoch(self._epoch, names, logs)

    def averaged_batch_logs(self, callback: Any, logs: dict[str, Any]) -> dict[str, Any]:
        """The logs of a batch likewise; all processes are at the same batch."""
        voter = callback_check.voter_of(callback)
        if voter is None or not self.shares(callback):
            return logs
        topic = f"a batch of epoch {self._epoch}, for {self._shared[id(callback)]}"
        return self._values.of_batch(topic, voter.monitored(callback), logs)

    # Before and after the hooks of the list.

    def _after_train_begin(self, logs: Any = None) -> None:
        self._has_begun = True
        self._defer_stop()
        if keras.config.backend() == "jax":
            # Different train functions would reduce unrelated values across processes.
            wanted = [probe.to_json() for probe in probes_of(self._callbacks())]
            gathered = self.gather("the columns of batches", wanted)
            self._steps.wanted = [probe_of(one) for rank in gathered for one in rank]
            self._steps.begin(self._callback_list)
        if self.save_freq and recorder_of(self._callback_list) is None:
            after = {"on_train_batch_end": self._after_batch}
            wrap_hooks(self._callback_list, self._batch_hook_owner, after=after, failed=self.leave)
        self._end_busy()

    def _after_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        self._defer_stop()
        self._steps.epoch_begin(self._callback_list, epoch)
        self._is_inside = True
        self._end_busy()

    def planned(self, hook: str) -> list[tuple[Any, Form | None]]:
        """What a compiled list runs after all callbacks: a Python hook and its compiled form."""
        if hook != "on_train_batch_end" or not self.save_freq:
            return []
        if any(map(callback_check.has_own_batches, self._callbacks())):
            return [(self._after_batch, None)]
        return [(self._after_batch, (_core.Due(self._due, self, False), self._decide_within_epoch))]

    def _after_batch(self, batch: int, logs: Any = None) -> None:
        if self.save_freq:
            self._defer_stop()
            if self._due.due(int(batch), self.save_freq):
                self._decide_within_epoch(batch)

    def _defer_stop(self) -> None:
        """Keeps this process training until all agree: the others would wait forever."""
        model = self._model
        if model.stop_training and not self._stops:
            model.stop_training = False
            self._wants_to_stop = True

    def _decide_within_epoch(self, batch: int, logs: Any = None) -> None:
        self._last = int(batch)
        if not self._stops:
            self.decide(f"batch {batch} of epoch {self._epoch}", int(batch))
            self._model.stop_training = self._stops

    def decide(self, where: str, batch: int) -> None:
        """Exchanges the values that monitors counting batches have seen, and lets each judge them.

        `batch` is the last trained batch of the epoch; `where` is for messages.
        """
        self._defer_stop()
        recorder = recorder_of(self._callback_list)
        if recorder is not None:
            recorder.drain()
        inside = self._voters()
        proposals = {self._shared[id(one)]: v.propose(one, self.averages) for one, v in inside}
        message = {"stop": self._wants_to_stop, "proposals": proposals}
        answers = self.gather(where, message)
        self._is_inside = False
        try:
            for callback, voter in inside:
                name = self._shared[id(callback)]
                said = [answer["proposals"].get(name) for answer in answers]
                voter.apply(callback, said, batch, self.averages)
        finally:
            self._is_inside = True
        self._apply_stops([answer["stop"] for answer in answers], where)
        self._stops = self._stops or self._model.stop_training

    def averaged_validation_logs(self, logs: dict[str, Any]) -> dict[str, Any]:
        """The logs of a validation, which all processes run after the same batch, likewise."""
        if not self.averages:
            return logs
        return self._values.of_batch(f"a validation in epoch {self._epoch}", sorted(logs), logs)

    def decide_after_validation(self, batch: int) -> None:
        """Decides after a validation inside an epoch, which all processes run at once."""
        if self.save_freq:
            self._decide_within_epoch(batch)

    def decide_before_backup(self, batch: int) -> None:
        """Decides before a backup inside an epoch, which is due in all processes at once."""
        if self.save_freq:
            self._decide_within_epoch(batch)

    def _before_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._defer_stop()
        if self.save_freq and not self._stops:
            self.decide(f"the last batch of epoch {epoch}", self._last)
            self._model.stop_training = self._stops
        self._is_inside = False
        self._values.begin(logs or {})
        self._begin_busy()

    def _after_epoch_end(self, epoch: int, logs: Any = None) -> None:
        model = self._model
        stop = bool(model.stop_training) or self._wants_to_stop
        rates = self._rates() if self.averages else []
        where = f"the end of epoch {epoch}"
        answers = self.gather(where, {"stop": stop, "rates": rates})
        self._apply_stops([answer["stop"] for answer in answers], where)
        model.stop_training = self._stops
        self._end_busy()
        # On JAX all processes share one array for the rate.
        for (optimizer, _), own, rate in zip(
            optimizers(model.optimizer) if rates else [], rates, answers[0]["rates"], strict=False
        ):
            if rate != own:
                optimizer.learning_rate = rate

    def _before_train_end(self, logs: Any = None) -> None:
        # There is nothing left to decide: each process ends in its own time.
        if self._exchange is not None:
            self._exchange.end()
        self._end()

    def _begin_busy(self, *args: Any) -> None:
        self._busy.append(ExitStack())
        self._busy[-1].enter_context(self.busy())

    def _end_busy(self, *args: Any) -> None:
        if self._busy:
            self._busy.pop().close()

    def _end(self) -> None:
        while self._busy:
            self._end_busy()
        if self._exchange is not None:
            self._exchange.close()
        self._exchange = None
        self.save_freq = 0
        self._steps.release(self._callback_list)

    def _apply_stops(self, stops: list[bool], where: str) -> None:
        if any(stops) and not self._stops:
            self._stops = True
            params = getattr(self._callback_list, "params", None) or {}
            if not stops[0] and params.get("verbose"):
                rank = stops.index(True)
                print_message(f"\nRank {rank} has stopped the training at {where}.")

    def _rates(self) -> list[float]:
        optimizer = getattr(self._model, "optimizer", None)
        if optimizer is None or any(has_schedule(one) for one, _ in optimizers(optimizer)):
            return []
        return [rate_of(one) for one, _ in optimizers(optimizer)]

    @property
    def _callback_list(self) -> Any:
        return self._list()

    @property
    def _model(self) -> Any:
        return trainer.model_of(self._callback_list)

    def _callbacks(self) -> list[Any]:
        return list(self._callback_list.callbacks)

    def _voters(self) -> list[tuple[Any, Voter]]:
        """The callbacks that all processes have, each with its voter."""
        pairs = ((one, callback_check.voter_of(one)) for one in self._callbacks())
        return [(one, voter) for one, voter in pairs if voter and self.shares(one)]


class _Steps(StepUser):
    """Takes the step columns that any process needs: all must run the same train function."""

    def __init__(self) -> None:
        self.wanted: list[Probe] = []

    def kinds(self, callback: Any) -> Kind:
        return Kind(0)

    def probes(self, callback: Any) -> list[Probe]:
        return self.wanted

    def loud(self, callback: Any) -> Kind:
        return Kind(0)

    def is_wanted(self, callback: Any) -> bool:
        return bool(self.wanted)


def join(callback_list: Any, model: Any) -> None:
    """Gives a list a coordinator, if several processes train and the list has decisions to make."""
    if coordinator_of_list(callback_list) is not None:
        return
    ours = recorder_of(callback_list) is not None
    if ours or any(map(callback_check.needs_coordination, callback_list.callbacks)):
        world = find_world(model)
        if world.store is not None:
            callback_list._fitwatch_coordinator = Coordinator(callback_list, world)


def coordinator_of_list(callback_list: Any) -> Coordinator | None:
    """The coordinator of a callback list; None where one process trains alone."""
    coordinator: Coordinator | None = getattr(callback_list, "_fitwatch_coordinator", None)
    return coordinator
