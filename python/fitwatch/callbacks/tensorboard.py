"""TensorBoard."""

import copy
import time
from typing import Any, ClassVar

import keras

from fitwatch import _check, _core, _files
from fitwatch._checkpoint.sharded import refuse_scattered
from fitwatch._checkpoint.stateful import Stateful, whole
from fitwatch._distributed.callback import FitwatchCallback, enter
from fitwatch._distributed.world import is_writer
from fitwatch._engine.plan import Form, compiled
from fitwatch._engine.step_user import OwnLosses
from fitwatch._keras import tensorboard
from fitwatch._sinks import summary_events
from fitwatch._sinks.event_files import EventFiles, run_name
from fitwatch._sinks.snapshots import Snapshots
from fitwatch._sinks.tf_summary import UserSummaries
from fitwatch._sinks.tf_writers import SummaryWriters


class TensorBoard(
    OwnLosses,
    Snapshots,
    SummaryWriters,
    Stateful,
    FitwatchCallback,
    keras.callbacks.TensorBoard,  # type: ignore[misc]
):
    """Writes all that Keras's callback writes for TensorBoard, without TensorFlow.

    Same arguments, folders, tags, steps and values as `keras.callbacks.TensorBoard`: `train/` gets
    `epoch_*` for every epoch and, with `update_freq`, `batch_*`; `validation/` gets `epoch_*` and
    `evaluation_*_vs_iterations`. One event file in each of the two takes it all, scalars, the
    model's graph, histograms and images, and under TensorFlow the `tf.summary` calls in your own
    code too. A thread writes it within a tenth of a second, whole records at a time. The format is
    that of `fitwatch.EventFileWriter`.

    Args:
        log_dir: The folder to write to, on this machine. It is made if missing. Default `"logs"`.
        histogram_freq: Epochs between two histograms of the weights; 0 (default) for none.
            Needs the `tensorboard` package.
        write_graph: Whether to write the model's structure, for the Graphs page. Needs the
            `tensorboard` package too. Default True.
        write_images: Whether to write the weights as images, along with the histograms. Default
            False.
        write_steps_per_second: Whether to write how many batches were trained in a second. Default
            False.
        update_freq: `"epoch"` (default); or a number of batches after which batch values are
            written too, counted across epochs; `"batch"` stands for 1.
        profile_batch: A batch, or a pair of first and last batch, for the backend's profiler; 0
            (default) for none. Keras knows those of TensorFlow and, from Python 3.12 on, of JAX.
        embeddings_freq: Epochs between two snapshots of embedding layers; 0 (default) for none.
            Needs the `tensorboard` package.
        embeddings_metadata: File with the labels of the embeddings, relative to `log_dir`, or a
            dict of such files by layer name. Default None.
        loss: What `batch_loss` shows: Keras's `"running"` (default) mean over the epoch so far; or
            with `"batch"` the loss that each batch really had (see `LossHistory`). Then steps count
            batches, and so does `update_freq`, also where `steps_per_execution=N` trains N of them
            in one call, each of which has its loss; other metrics are written with the last of
            them that is due, and `profile_batch` has to be the first one of a call.
        continue_steps: Whether steps go on where they were: in a second `fit()`, after
            `load_state_dict()`, and, in a new process, at the number of batches that the model's
            optimizer has counted. Without, every `fit()` starts at 0 again, as in Keras, and the
            lines in TensorBoard go back and forth. Default False.

    Raises:
        ValueError: An argument has a value that is not allowed; `log_dir` is on remote storage
            (`gs://...`), which needs Keras's class; the backend has no profiler; or, when training
            begins, the callback is in its list twice, or weights to write are divided among
            processes.
        TypeError: An argument has the wrong type.
        ImportError: `histogram_freq` or `embeddings_freq` is given and the `tensorboard` package is
            missing.
        OSError: `log_dir` cannot be made or written; raised when training begins.
        RuntimeError: Another `fit()` that is still going on has this callback.

    Differs from Keras:
        - With an integer `update_freq`, the values of every epoch and evaluation are written. Keras
          drops those of an epoch whose last batch is not one of every `update_freq`.
        - The names of event files end in `.fitwatch.N` instead of `.N.v2`.
        - Where other code has replaced one of TensorFlow's summary functions, as tools do to be
          told of folders and values, files are written through TensorFlow, under its names, and
          batch hooks are called from Python.
        - Where a `BackupAndRestore` in the same list takes a run up again, batch steps go on where
          the backup has them, and points that were written since are taken out of the files; a
          TensorBoard that is open shows that after a restart. The files of such runs have a mark of
          the backup's folder in their names.
        - The Graphs page shows the model's layers at once. With Keras's files it shows an error
          until "Conceptual graph" is chosen.
        - The Projector page shows the embeddings: `train/` gets them as text, besides the weights
          that Keras saves, which the page cannot read.
        - A file that cannot be written (the disk is full) is reported once, and training goes on.
        - A value that is no scalar is left out, with one warning. Keras ends the fit.
        - What the callback itself writes is not touched by TensorFlow's contexts around `fit()`:
          name scopes, `record_if`, another default writer. (With `update_freq="epoch"` Keras writes
          `batch_*` for every batch into a default writer that is there.)
        - For `tf.summary` calls that name no step, the writer and the step are set once in a fit:
          `get_step()` gives an object that counts on by itself (`int(step)` keeps a number), and
          whoever sets another step or default writer keeps it.
        - Of several processes that train together, rank 0 alone writes: see
          `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import TensorBoard
        >>> TensorBoard("logs", update_freq="batch").update_freq
        1
    """

    _fitwatch_state: ClassVar = {
        "_global_train_batch": whole,
        "_global_test_batch": whole,
        "_next_epoch": whole,
    }
    # What the next epoch is called in the files, and how far that is from its own number.
    _next_epoch = 0
    _epoch_offset: int | None = None
    _batch_trace_context: Any

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
        *,
        loss: str = "running",
        continue_steps: bool = False,
    ) -> None:
        log_dir = _check.folder("log_dir", log_dir)
        update_freq = _check.update_frequency("update_freq", update_freq)
        histogram_freq = _check.frequency("histogram_freq", histogram_freq)
        embeddings_freq = _check.frequency("embeddings_freq", embeddings_freq)
        for name, freq in (
            ("histogram_freq", histogram_freq),
            ("embeddings_freq", embeddings_freq),
        ):
            if freq:
                summary_events.require_tensorboard(name)
        self.continue_steps = _check.flag("continue_steps", continue_steps)
        self.loss = _check.loss(loss, update_freq)
        self.log_dir = log_dir
        self._is_set_up = False
        self._train_batches, self._test_batches = _core.Counter(), _core.Counter()
        self._new_files()
        super().__init__(
            log_dir=log_dir,
            histogram_freq=histogram_freq,
            write_graph=_check.flag("write_graph", write_graph),
            write_images=_check.flag("write_images", write_images),
            write_steps_per_second=_check.flag("write_steps_per_second", write_steps_per_second),
            update_freq=update_freq,
            profile_batch=_check.batches("profile_batch", profile_batch),
            embeddings_freq=embeddings_freq,
            embeddings_metadata=_check.labels("embeddings_metadata", embeddings_metadata),
        )

    def set_model(self, model: Any) -> None:
        """Takes the model, and writes its structure if `write_graph` asks for it."""
        enter(self, model)
        if self._fitwatch.nested.fitting:
            # A nested evaluate(), which must find the files open, or the next fit after an
            # exception: the next `on_*_begin` tells.
            self._fitwatch.nested.replace(self)
            self._model = model
            self._is_set_up = False
        else:
            self._set_up(model)

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the training file, so that a folder that cannot be written is known now."""
        self._fitwatch.detach()
        if not self._is_set_up:
            self._set_up(self._model)
        before = self._global_train_batch
        if not self.continue_steps:
            self._next_epoch = 0
        super().on_train_begin(logs)
        if self.continue_steps:
            self._global_train_batch = before
        self._epoch_offset = None
        if self.histogram_freq or self.embeddings_freq:
            refuse_scattered(self, self._model)
        self._fitwatch_files.begin("train")
        if self.update_freq != "epoch":
            self._fitwatch_watch()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Finds out how the epoch and its batches are to be counted."""
        if self._epoch_offset is None:
            # Now, since a callback later in the list may have loaded the model.
            self._epoch_offset = 0
            if self.continue_steps:
                self._epoch_offset = max(self._next_epoch - epoch, 0)
                self._global_train_batch = self._global_train_batch or self._trained_before()
        super().on_epoch_begin(epoch, logs)
        if not self._user_summaries:  # TensorFlow may have been imported since
            self._push_writer(self._train_writer, self._global_train_batch)

    def _trained_before(self) -> int:
        """The steps that the model was trained for, by the count of its optimizer."""
        iterations = self._iterations()
        if not iterations:
            return 0
        gathered = getattr(self.model.optimizer, "gradient_accumulation_steps", None) or 1
        batches = iterations * gathered
        at_a_time = 1 if self.loss == "batch" else self.model.steps_per_execution
        return -(-batches // int(at_a_time))

    def on_train_end(self, logs: Any = None) -> None:
        """Closes the files."""
        super().on_train_end(logs)
        self._fitwatch_files.close()

    def on_test_begin(self, logs: Any = None) -> None:
        """Called when an evaluation begins: the fit's own validation, or a nested one."""
        self._is_set_up = True
        super().on_test_begin(logs)

    def _set_up(self, model: Any) -> None:
        """Takes a model to train or evaluate, with new files."""
        self._fitwatch_files.close()
        while self._user_summaries:
            self._pop_writer()
        self._fitwatch.is_silent = not is_writer(model)
        self._new_files()
        if not self._fitwatch.is_silent:
            _files.ensure_writable_folder("log_dir", self.log_dir)
        super().set_model(model)
        self._is_set_up = True
        if self._fitwatch.is_silent:
            self._should_trace = False
        # Keras 3 makes no train function that could be written as a graph.
        self._should_write_train_graph = False

    @property
    def _global_train_batch(self) -> int:
        """Training batches so far: the step of batch values. The name is Keras's."""
        return self._train_batches.count

    @_global_train_batch.setter
    def _global_train_batch(self, count: int) -> None:
        self._train_batches.count = count

    @property
    def _global_test_batch(self) -> int:
        """The same for evaluations."""
        return self._test_batches.count

    @_global_test_batch.setter
    def _global_test_batch(self, count: int) -> None:
        self._test_batches.count = count

    @compiled("_fitwatch_compile_train_begin")
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Counts the batch."""
        if self._should_trace:
            super().on_train_batch_begin(batch, logs)
            return
        self._global_train_batch += 1
        if self.write_steps_per_second:
            self._batch_start_time = time.time()

    def _fitwatch_compile_train_begin(self, recorder: _core.Recorder) -> Any:
        if self._should_trace or self._times_batches():
            return NotImplemented
        return self._train_batches, self.on_train_batch_begin

    @compiled("_fitwatch_compile_train_end")
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Writes the batch's values, if it is time."""
        self._fitwatch.drain()
        losses = self._fitwatch_own_losses()
        # The first batch of the call is counted already.
        self._global_train_batch += max(len(losses) - 1, 0)
        step = self._global_train_batch
        if self._fitwatch_due(step, len(losses)):
            if self.write_steps_per_second:
                seconds = time.time() - self._batch_start_time
                self._fitwatch_files.add_scalar(
                    "train", "batch_steps_per_second", 1.0 / max(seconds, 1e-9), step
                )
            if isinstance(logs, dict):
                self._write_batch(step, logs, losses)
        if self._is_tracing:
            if self._batch_trace_context is not None:
                tensorboard.stop_batch_trace(self._batch_trace_context)
                self._batch_trace_context = None
            if step >= self._stop_batch:
                self._stop_trace()

    def _fitwatch_compile_train_end(self, recorder: _core.Recorder) -> Any:
        if self._should_trace or self._times_batches():
            return NotImplemented
        if self.update_freq == "epoch" or self._fitwatch.is_silent:
            return None
        if not self._fitwatch.attach(recorder):
            return NotImplemented
        file = self._fitwatch_files.open("train")
        if not isinstance(file, _core.EventFile):
            return NotImplemented
        scalars = _core.Scalars(
            self._train_batches, self.update_freq, file, "batch_", self._fitwatch_losses
        )
        return scalars, self._write_batch

    def _times_batches(self) -> bool:
        return bool(self.write_steps_per_second) and self.update_freq != "epoch"

    def _fitwatch_due(self, last: int, losses: int) -> range:
        """The steps of a call that are due, of which the last one is given."""
        if self.update_freq == "epoch":
            return range(0)
        every = self.update_freq
        first = last - max(losses - 1, 0)
        return range(-(-first // every) * every, last + 1, every)

    def _write_batch(self, step: int, logs: Any, losses: list[float]) -> None:
        due = self._fitwatch_due(step, len(losses))
        for name, value in logs.items():
            tag = self._batch_tags.get(name) or self._batch_tags.setdefault(name, f"batch_{name}")
            if losses and name == "loss":
                for one in due:
                    loss = losses[one - step - 1]
                    self._fitwatch_files.add_scalar("train", tag, loss, one)
            else:
                self._fitwatch_files.add_scalar("train", tag, value, due[-1])

    @compiled("_fitwatch_compile_test_begin")
    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Counts the batch."""
        self._global_test_batch += 1

    def _fitwatch_compile_test_begin(self, recorder: _core.Recorder) -> Form:
        return self._test_batches, self.on_test_batch_begin

    def _iterations(self) -> int | None:
        """The batches that the optimizer has counted."""
        optimizer = getattr(self.model, "optimizer", None)
        iterations = getattr(optimizer, "iterations", None)
        return None if iterations is None else int(keras.ops.convert_to_numpy(iterations))

    def on_test_end(self, logs: Any = None) -> None:
        """Writes the evaluation's values against the optimizer's iterations."""
        step = self._iterations()
        if step is not None:
            for name, value in (logs or {}).items():
                self._fitwatch_files.add_scalar(
                    "validation", f"evaluation_{name}_vs_iterations", value, step
                )
        self._fitwatch_files.nudge()
        self._pop_writer()
        self._fitwatch.nested.end_test(self)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the epoch's values, and what else is due."""
        epoch += self._epoch_offset or 0
        self._next_epoch = epoch + 1
        super().on_epoch_end(epoch, logs)
        self._fitwatch_files.nudge()

    def _log_epoch_metrics(self, epoch: int, logs: Any) -> None:
        if not logs:
            return
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        if hasattr(self.model, "optimizer"):  # it has none before it is compiled
            train = self._collect_learning_rate(train)
        if self.write_steps_per_second:
            train["steps_per_second"] = self._compute_steps_per_second()
        for name, value in train.items():
            self._fitwatch_files.add_scalar("train", f"epoch_{name}", value, epoch)
        for name, value in logs.items():
            if name.startswith("val_"):
                self._fitwatch_files.add_scalar("validation", f"epoch_{name[4:]}", value, epoch)

    def _fitwatch_flush(self) -> None:
        self._fitwatch_files.flush()

    def _fitwatch_mark(self) -> Any:
        """How far the files have come, for a backup."""
        self._fitwatch.drain()
        return self._fitwatch_files.mark()

    def _fitwatch_go_on(self, mark: Any) -> None:
        """Takes out what was written since that backup."""
        if mark is not None:
            self._fitwatch_files.cut(mark)

    def _fitwatch_abandon(self, *, fit: bool, interrupted: bool) -> None:
        super()._fitwatch_abandon(fit=fit, interrupted=interrupted)
        if self._fitwatch.nested.fitting:  # an evaluation inside a fit that goes on
            while len(self._user_summaries) > 1:
                self._pop_writer()
            return
        if self._is_tracing:
            self._stop_trace()
        while self._user_summaries:
            self._pop_writer()
        self._fitwatch_files.close()

    def _new_files(self) -> None:
        name = run_name(self._fitwatch.siblings())
        self._fitwatch_files = EventFiles(self.log_dir, name, writes=not self._fitwatch.is_silent)
        self._batch_tags: dict[str, str] = {}
        self._user_summaries: list[UserSummaries] = []

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        attributes, slots = state if isinstance(state, tuple) else (state, {})
        # A copy opens files of its own.
        opened = ("_fitwatch_files", "_user_summaries", "_summary_module")
        return {**attributes, **dict.fromkeys(opened)}, slots

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._train_batches = copy.copy(self._train_batches)
        self._test_batches = copy.copy(self._test_batches)
        self._new_files()
