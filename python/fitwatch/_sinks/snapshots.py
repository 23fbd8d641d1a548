"""What TensorBoard gets now and then: the model, its weights, embeddings and profiles."""

from typing import Any

import keras

from fitwatch._distributed import rank_aware
from fitwatch._sinks import projector, summary_events
from fitwatch._sinks.event_files import EventFiles
from fitwatch._warn import warn


class Snapshots:
    """Mixin for the `TensorBoard` callback: takes the place of what Keras's has TensorFlow do."""

    embeddings_metadata: Any
    log_dir: str
    model: Any
    write_images: bool
    _fitwatch_files: EventFiles
    _is_tracing: bool
    _model: Any
    _start_profiler: Any
    _stop_profiler: Any
    _train_dir: str

    def _write_keras_model_summary(self) -> None:
        if not self._fitwatch_files.writes:
            return
        for event in summary_events.model_events(self._model):
            self._fitwatch_files.open("train")  # where it cannot be made, that is an error here
            self._fitwatch_files.add_event("train", event)

    def _log_weights(self, epoch: int) -> None:
        if not self._fitwatch_files.writes:
            return
        if self._fitwatch_files.is_listened_to("train"):
            super()._log_weights(epoch)  # type: ignore[misc]
            return
        for layer in self.model.layers:
            for weight in layer.weights:
                name = weight.path.replace(":", "_")
                values = keras.ops.convert_to_numpy(weight)
                histogram = summary_events.histogram_event(f"{name}/histogram", values, epoch)
                self._fitwatch_files.add_event("train", histogram)
                images = summary_events.weights_as_images(values) if self.write_images else None
                if images is not None:
                    image = summary_events.image_event(f"{name}/image", images, epoch)
                    self._fitwatch_files.add_event("train", image)

    def _configure_embeddings(self) -> None:
        if not self._fitwatch_files.writes:
            return
        metadata = self.embeddings_metadata
        if isinstance(metadata, dict):
            self.embeddings_metadata = dict(metadata)  # Keras takes out what it has used
        try:
            super()._configure_embeddings()  # type: ignore[misc]
        finally:
            self.embeddings_metadata = metadata

    def _log_embeddings(self, epoch: int) -> None:
        if not self._fitwatch_files.writes:
            return
        labels = projector.labels(self.model, self.log_dir, self.embeddings_metadata)
        try:
            with rank_aware.saving(self):
                super()._log_embeddings(epoch)  # type: ignore[misc]
            projector.write(self._train_dir, self.model, labels)
        except OSError as error:
            warn(f"TensorBoard: embeddings cannot be written: {error}")

    def _start_trace(self) -> None:
        # The trace of a graph is TensorFlow's own; without it there is a profile.
        if keras.config.backend() == "tensorflow":
            super()._start_trace()  # type: ignore[misc]
        else:
            self._start_profiler(logdir=self._train_dir)
            self._is_tracing = True

    def _stop_trace(self, batch: int | None = None) -> None:
        if keras.config.backend() == "tensorflow":
            super()._stop_trace(batch)  # type: ignore[misc]
        else:
            self._stop_profiler()
            self._is_tracing = False
