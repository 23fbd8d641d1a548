"""Keras itself: what every hook is told, and the files of its own callbacks."""

from pathlib import Path

from side_by_side import companions, fit, make_model

PACKAGES = []  # a run that fails with stock Keras fails the test


def hooks(enable):
    import keras

    told = []

    class Told(keras.callbacks.Callback):
        pass

    def hook_called(name):
        def hook(self, *where, logs=None):
            values = {key: float(value) for key, value in (logs or {}).items()}
            told.append([name, where, values])

        return hook

    for name in dir(keras.callbacks.Callback):
        if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end"):
            setattr(Told, name, hook_called(name))

    callbacks = [Told(), *companions(), keras.callbacks.LambdaCallback()]
    enable()
    history = fit(make_model(), *callbacks)
    return {"told": told, "history": history, "rows": Path("log.csv").read_text()}


def test_hooks(recorded):
    done = recorded(hooks)
    assert len(done["history"]["val_mae"]) == 3
    assert sum(entry[0] == "on_train_batch_end" for entry in done["told"]) == 9
