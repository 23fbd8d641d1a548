"""TensorBoard."""

import time
from typing import Any

from fitwatch import _check, _files
from fitwatch._checkpoint.run_state import load_state_dict, state_dict
from fitwatch._checkpoint.sharded import refuse_sharded
from fitwatch._distributed.callback import FitwatchCallback, enter
from fitwatch._distributed.world import is_writer
from fitwatch._engine.plan import compiled
from fitwatch._keras import tensorboard
from fitwatch._sinks import summary_events
from fitwatch._sinks.board import Board
from fitwatch._sinks.keras_board import KerasBoard


class TensorBoard(FitwatchCallback, KerasBoard):
    """Writes everything that Keras's callback writes for TensorBoard, without TensorFlow.

    Same arguments, folders, tags, steps and values as `keras.callbacks.TensorBoard`: `train/` gets
    `epoch_*` for every epoch and, with `update_freq`, `batch_*`; `validation/` gets `epoch_*` and
    `evaluation_*_vs_iterations`, and with `Validation` in the same list also `batch_*` at the
    batch of the training. Each folder has one event file for scalars, the model's graph,
    histograms and images, and under TensorFlow also for `tf.summary` calls in user code. A thread
    writes it within a tenth of a second, whole records at a time. The format is that of
    `fitwatch.EventFileWriter`.

    Args:
        log_dir: The local folder to write to. It is made if missing. Default `"logs"`.
        histogram_freq: Epochs between two histograms of the weights; 0 (default) for none.
            Needs the `tensorboard` package.
        write_graph: Whether to write the model's structure, for the Graphs page. Also needs the
            `tensorboard` package. Default True.
        write_images: Whether to write the weights as images, along with the histograms. Default
            False.
        write_steps_per_second: Whether to write the number of trained batches per second. Default
            False.
        update_freq: `"epoch"` (default); or the number of batches, counted across epochs, after
            which batch values are written too; `"batch"` stands for 1.
        profile_batch: A batch, or a pair of first and last batch, for the backend's profiler; 0
            (default) for none. Keras supports those of TensorFlow and, from Python 3.12 on, of JAX.
        embeddings_freq: Epochs between two snapshots of embedding layers; 0 (default) for none.
            Needs the `tensorboard` package.
        embeddings_metadata: File with the labels of the embeddings, relative to `log_dir`, or a
            dict of such files by layer name. Default None.
        loss: The value of `batch_loss`: `"running"` (default) is Keras's mean over the epoch so
            far, `"batch"` the per-batch loss (see `LossHistory`). With `"batch"`, steps and
            `update_freq` count single batches even if `steps_per_execution=N` trains N of them in
            one call, and each has its loss; other metrics are written with the last of them that is
            due, and `profile_batch` must be the first one of a call.
        metrics: The same for the other metrics: `"running"` (default) writes Keras's means over the
            epoch so far, `"batch"` the value that each metric has for the batch alone (see
            `LossHistory`). Tags do not change.
        continue_steps: Whether steps continue: in a second `fit()`, after `load_state_dict()`, and
            in a new process from the iterations of the model's optimizer. If False, every `fit()`
            starts at 0, as in Keras, and the lines in TensorBoard go back and forth. Default False.
        write_events: Whether to write what happens in the training as text summaries in `train/`,
            one tag for each kind: `fitwatch/epoch` (the end of an epoch), `fitwatch/checkpoint`,
            `fitwatch/rate_reduction`, `fitwatch/stop`, `fitwatch/resume`, `fitwatch/validation`,
            `fitwatch/spike` and `fitwatch/rollback`, of the callbacks of the same list. Their step
            is the batch, or the epoch where `update_freq` is `"epoch"`. Fitwatch's page marks them
            in its charts. Default False.

    Raises:
        ValueError: An argument has a value that is not allowed; `log_dir` is on remote storage
            (`gs://...`), which needs Keras's class; the backend has no profiler; or, when training
            begins, the callback is in its list twice, or weights to write are sharded over
            processes.
        TypeError: An argument has the wrong type.
        ImportError: `histogram_freq` or `embeddings_freq` is given and the `tensorboard` package is
            missing.
        OSError: `log_dir` cannot be made or written; raised when training begins.
        RuntimeError: Another running `fit()` uses this callback.

    Differs from Keras:
        - With an integer `update_freq`, the values of every epoch and evaluation are written. Keras
          drops those of an epoch whose last batch is not a multiple of `update_freq`.
        - The names of event files end in `.fitwatch.N` instead of `.N.v2`.
        - If other code has replaced one of TensorFlow's summary functions, as tools do to learn
          about folders and values, files are written through TensorFlow, under its names, and batch
          hooks are called from Python.
        - When a `BackupAndRestore` in the same list resumes a run, batch steps continue from the
          backup, and points that were written after it are removed from the files; an open
          TensorBoard shows that after a restart. The names of such files contain an identifier of
          the backup's folder.
        - The Graphs page shows the model's layers at once. With Keras's files it shows an error
          until "Conceptual graph" is chosen.
        - The Projector page shows the embeddings: they are written to `train/` as text, besides the
          weights that Keras saves, which the page cannot read.
        - A write error (such as a full disk) is reported once, and training goes on.
        - A value that is not a scalar is left out, with one warning. Keras ends the fit.
        - TensorFlow's contexts around `fit()` do not affect what the callback itself writes: name
          scopes, `record_if`, another default writer. (With `update_freq="epoch"` Keras writes
          `batch_*` for every batch into an active default writer.)
        - For `tf.summary` calls without a step, the writer and the step are set once in a fit:
          `get_step()` returns an object that follows the count (`int(step)` is a plain number). A
          step or default writer that user code sets is kept.
        - Of several processes that train together, only rank 0 writes: see `fitwatch.distributed`.

    Example:
        >>> from fitwatch.callbacks import TensorBoard
        >>> TensorBoard("logs", update_freq="batch").update_freq
        1
    """

    # Pickles of earlier versions do not have these.
    metrics = "running"
    write_events = False
    _fitwatch_type = Board
    _fitwatch: Board
    state_dict = state_dict
    load_state_dict = load_state_dict

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
        metrics: str = "running",
        continue_steps: bool = False,
        write_events: bool = False,
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
        self.write_events = _check.flag("write_events", write_events)
        self.loss = _check.batch_values("loss", loss, update_freq)
        self.metrics = _check.batch_values("metrics", metrics, update_freq)
        self.log_dir = log_dir
        self._fitwatch.new_files(log_dir)
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
        """Sets the model, and writes its structure if `write_graph` asks for it."""
        enter(self, model)
        nested = self._fitwatch.nested
        if nested.fitting:
            # Either a nested evaluate(), which needs the open files, or the next fit after an
            # exception: the next `on_*_begin` tells which.
            nested.replace(self)
            self._model = model
            self._fitwatch.is_set_up = False
        else:
            self._set_up(model)

    def _set_up(self, model: Any) -> None:
        """Sets the model to train or evaluate, with new files."""
        own = self._fitwatch
        own.files.close()
        while own.user_summaries:
            self._pop_writer()
        own.is_silent = not is_writer(model)
        own.new_files(self.log_dir)
        if not own.is_silent:
            _files.ensure_writable_folder("log_dir", self.log_dir)
        super().set_model(model)
        own.is_set_up = True
        if own.is_silent:
            self._should_trace = False
        # Keras 3 has no train function that could be written as a graph.
        self._should_write_train_graph = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Opens the training file, so that an unwritable folder is known early."""
        own = self._fitwatch
        own.detach()
        if not own.is_set_up:
            self._set_up(self._model)
        before = self._global_train_batch
        if not self.continue_steps:
            own.next_epoch = 0
        super().on_train_begin(logs)
        if self.continue_steps:
            self._global_train_batch = before
        own.epoch_offset = None
        if self.histogram_freq or self.embeddings_freq:
            refuse_sharded(self, self._model)
        if own.files.writes:
            own.files.open("train")
        if self.update_freq != "epoch":
            own.steps.begin(self)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Determines the steps of the epoch and its batches."""
        own = self._fitwatch
        if own.epoch_offset is None:
            # Not earlier: in `on_train_begin` a later callback may still load the model.
            own.epoch_offset = 0
            if self.continue_steps:
                own.epoch_offset = max(own.next_epoch - epoch, 0)
                before = self._global_train_batch or own.trained_before(self)
                self._global_train_batch = before
        own.epoch = epoch + own.epoch_offset
        super().on_epoch_begin(epoch, logs)
        if not own.user_summaries:  # TensorFlow may have been imported since
            self._push_writer(self._train_writer, self._global_train_batch)

    def on_train_end(self, logs: Any = None) -> None:
        """Closes the files."""
        super().on_train_end(logs)
        self._fitwatch.files.close()

    def on_test_begin(self, logs: Any = None) -> None:
        """Called when an evaluation begins: the fit's own validation, or a nested one."""
        self._fitwatch.is_set_up = True
        super().on_test_begin(logs)

    @property
    def _global_train_batch(self) -> int:
        """Training batches so far: the step of batch values. The name is Keras's."""
        return self._fitwatch.train_batches.count

    @_global_train_batch.setter
    def _global_train_batch(self, count: int) -> None:
        self._fitwatch.train_batches.count = count

    @property
    def _global_test_batch(self) -> int:
        """Evaluated batches so far, likewise."""
        return self._fitwatch.test_batches.count

    @_global_test_batch.setter
    def _global_test_batch(self, count: int) -> None:
        self._fitwatch.test_batches.count = count

    @compiled(Board.form_train_begin)
    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Counts the batch."""
        if self._should_trace:
            super().on_train_batch_begin(batch, logs)
            return
        self._global_train_batch += 1
        if self.write_steps_per_second:
            self._batch_start_time = time.time()

    @compiled(Board.form_train_end)
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Writes the batch's values, if they are due."""
        self._fitwatch.see(self, batch, logs)
        if self._is_tracing:
            if self._batch_trace_context is not None:
                tensorboard.stop_batch_trace(self._batch_trace_context)
                self._batch_trace_context = None
            if self._global_train_batch >= self._stop_batch:
                self._stop_trace()

    @compiled(Board.form_test_begin)
    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Counts the batch."""
        self._global_test_batch += 1

    def on_test_end(self, logs: Any = None) -> None:
        """Writes the evaluation's values against the optimizer's iterations."""
        own = self._fitwatch
        step = own.iterations(self)
        if step is not None:
            for name, value in (logs or {}).items():
                own.files.add_scalar("validation", f"evaluation_{name}_vs_iterations", value, step)
        own.files.request_flush()
        self._pop_writer()
        own.nested.end_test(self)

    def on_validation_end(self, batch: int, logs: Any) -> None:
        """Writes the metrics of a validation at the step of the training."""
        self._fitwatch.see_validation()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the values of the epoch, and histograms and embeddings if due."""
        own = self._fitwatch
        epoch += own.epoch_offset or 0
        own.next_epoch = epoch + 1
        super().on_epoch_end(epoch, logs)
        own.event(self, "epoch", f"end of epoch {epoch}")
        own.files.request_flush()

    def __getstate__(self) -> Any:
        attributes, slots = super().__getstate__()
        return {**attributes, "_summary_module": None}, slots

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._fitwatch.new_files(self.log_dir)
