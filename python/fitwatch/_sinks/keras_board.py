"""Keras's TensorBoard callback, writing to fitwatch's event files instead of TensorFlow's."""

import sys
from typing import Any

import keras

from fitwatch._distributed import rank_aware
from fitwatch._sinks import projector, summary_events
from fitwatch._sinks.board import Board
from fitwatch._sinks.tf_summary import SummaryWriter, UserSummaries
from fitwatch._warn import warn


class KerasBoard(keras.callbacks.TensorBoard):  # type: ignore[misc]
    """Overrides the methods with which Keras's hooks write; the names are Keras's."""

    _fitwatch: Board
    embeddings_metadata: Any

    # The default writers of `tf.summary` during a run.

    @property
    def _train_writer(self) -> SummaryWriter:
        return self._fitwatch.files.summary_writer("train")

    @property
    def _val_writer(self) -> SummaryWriter:
        return self._fitwatch.files.summary_writer("validation")

    def _push_writer(self, writer: SummaryWriter, step: int) -> None:
        # User code that calls tf.summary has imported TensorFlow.
        if self.update_freq == "epoch" or sys.modules.get("tensorflow") is None:
            return
        own = self._fitwatch
        if own.files.writes:
            counter = own.train_batches if writer is self._train_writer else own.test_batches
            own.user_summaries.append(UserSummaries(writer, counter, self.update_freq))

    def _pop_writer(self) -> None:
        if self._fitwatch.user_summaries:
            self._fitwatch.user_summaries.pop().close()

    # The model, its weights, embeddings and profiles.

    def _write_keras_model_summary(self) -> None:
        files = self._fitwatch.files
        if not files.writes:
            return
        for event in summary_events.model_events(self._model):
            files.open("train")  # raises if the file cannot be created
            files.add_event("train", event)

    def _log_weights(self, epoch: int) -> None:
        files = self._fitwatch.files
        if not files.writes:
            return
        if files.is_listened_to("train"):
            super()._log_weights(epoch)
            return
        for layer in self.model.layers:
            for weight in layer.weights:
                name = weight.path.replace(":", "_")
                values = keras.ops.convert_to_numpy(weight)
                histogram = summary_events.histogram_event(f"{name}/histogram", values, epoch)
                files.add_event("train", histogram)
                images = summary_events.weights_as_images(values) if self.write_images else None
                if images is not None:
                    image = summary_events.image_event(f"{name}/image", images, epoch)
                    files.add_event("train", image)

    def _configure_embeddings(self) -> None:
        if not self._fitwatch.files.writes:
            return
        metadata = self.embeddings_metadata
        if isinstance(metadata, dict):
            self.embeddings_metadata = dict(metadata)  # Keras removes entries from it
        try:
            super()._configure_embeddings()
        finally:
            self.embeddings_metadata = metadata

    def _log_embeddings(self, epoch: int) -> None:
        if not self._fitwatch.files.writes:
            return
        labels = projector.labels(self.model, self.log_dir, self.embeddings_metadata)
        try:
            with rank_aware.saving(self):
                super()._log_embeddings(epoch)
            projector.write(self._train_dir, self.model, labels)
        except OSError as error:
            warn(f"TensorBoard: embeddings cannot be written: {error}")

    def _start_trace(self) -> None:
        # Only TensorFlow traces graphs; other backends only profile.
        if keras.config.backend() == "tensorflow":
            super()._start_trace()
        else:
            self._start_profiler(logdir=self._train_dir)
            self._is_tracing = True

    def _stop_trace(self, batch: int | None = None) -> None:
        if keras.config.backend() == "tensorflow":
            super()._stop_trace(batch)
        else:
            self._stop_profiler()
            self._is_tracing = False

    def _log_epoch_metrics(self, epoch: int, logs: Any) -> None:
        if not logs:
            return
        files = self._fitwatch.files
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        if hasattr(self.model, "optimizer"):  # a model has none before it is compiled
            train = self._collect_learning_rate(train)
        if self.write_steps_per_second:
            train["steps_per_second"] = self._compute_steps_per_second()
        for name, value in train.items():
            files.add_scalar("train", f"epoch_{name}", value, epoch)
        for name, value in logs.items():
            if name.startswith("val_"):
                files.add_scalar("validation", f"epoch_{name[4:]}", value, epoch)
