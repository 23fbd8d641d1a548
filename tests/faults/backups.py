"""A training in which every part records its epoch, and what its backups restore."""

import contextlib

import keras
import numbered

import fitwatch
from fitwatch.callbacks import BackupAndRestore, EarlyStopping


class EnoughError(Exception):
    """A training has come as far as it was wanted."""


class Says(keras.callbacks.Callback):
    """Writes the epoch into the model, the logs and a state when it ends."""

    number = 0

    def on_epoch_end(self, epoch, logs=None):
        self.number = epoch + 1
        numbered.fill(self.model, self.number)
        logs["loss"] = float(-self.number)

    def state_dict(self):
        return {"number": self.number}

    def load_state_dict(self, state):
        self.number = state["number"]


class Begins(keras.callbacks.Callback):
    """Calls a function with every epoch that begins."""

    def __init__(self, begins):
        super().__init__()
        self.begins = begins

    def on_epoch_begin(self, epoch, logs=None):
        self.begins(epoch)


class Training:
    """A training with a backup of every epoch.

    Args:
        model: One of `numbered`.
        folder: The folder of the backup. Training resumes from it, if there is one.
        options: Arguments of the callback.
    """

    def __init__(self, model, folder, **options):
        self.model = model
        self.backup = BackupAndRestore(folder, **options)
        self.says = Says()
        self.stopping = EarlyStopping("loss", patience=9, restore_best_weights=True)

    def run(self, begins, epochs=10**6):
        """Trains up to the wanted epoch, and calls `begins` with every epoch."""
        callbacks = [self.backup, self.says, self.stopping, Begins(begins)]
        with fitwatch.enabled(), contextlib.suppress(EnoughError):
            self.model.fit(**numbered.data(), epochs=epochs, callbacks=callbacks)

    def number(self):
        """The epoch in the model and in all states, which must agree."""
        best = {int(number) for array in self.stopping.best_weights for number in array.ravel()}
        numbers = {numbered.number_in(self.model), self.says.number, int(-self.stopping.best)}
        assert len(best | numbers) == 1, (best, numbers)
        return best.pop()


def taken_up(model, folder):
    """The epoch at which training resumes."""
    numbered.fill(model, -1)
    training = Training(model, folder)
    found = []

    def begins(epoch):
        assert training.number() == epoch
        found.append(epoch)
        raise EnoughError

    training.run(begins)
    return found[0]
