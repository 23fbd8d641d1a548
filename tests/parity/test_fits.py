"""Real fits with Keras's callback and ours in one list: the same logs, the same everything."""

import keras
import numpy as np
import pytest
from keras_versions import since_3_15

from fitwatch import callbacks

BOTH = [callbacks, keras.callbacks]


def public_state(callback, names):
    return {name: getattr(callback, name) for name in names}


@pytest.mark.parametrize("monitor", ["val_loss", "val_accuracy", "accuracy", "loss"])
def test_early_stopping(make_model, data, monitor):
    pair = [
        m.EarlyStopping(monitor, min_delta=0.01, patience=2, restore_best_weights=True, verbose=1)
        for m in BOTH
    ]
    make_model().fit(*data, validation_split=0.3, epochs=12, verbose=0, callbacks=pair)
    names = ["best", "wait", "stopped_epoch", "best_epoch", "monitor_op", "min_delta", "patience"]
    states = [public_state(callback, names) for callback in pair]
    assert states[0] == states[1]
    assert states[0]["best"] is not None
    for ours, theirs in zip(pair[0].best_weights, pair[1].best_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_reduce_lr_on_plateau(make_model, data):
    histories = []
    for module in BOTH:
        reduce = module.ReduceLROnPlateau(
            "loss", factor=0.3, patience=1, min_delta=0.1, cooldown=1, min_lr=1e-4
        )
        fit = make_model().fit(*data, shuffle=False, epochs=12, verbose=0, callbacks=[reduce])
        histories.append(fit.history)
    assert histories[0] == histories[1]
    assert len(set(histories[0]["learning_rate"])) > 2


@pytest.mark.parametrize("save_best_only", [True, False])
@pytest.mark.parametrize("save_freq", ["epoch", 3])
def test_model_checkpoint(make_model, data, tmp_path, save_best_only, save_freq):
    if save_best_only and save_freq == 3:
        pytest.skip("Keras raises a TypeError")
    for module, folder in zip(BOTH, ("ours", "theirs"), strict=True):
        checkpoint = module.ModelCheckpoint(
            tmp_path / folder / ("{epoch:02d}-{loss:.4f}.weights.h5"),
            monitor="loss",
            save_best_only=save_best_only,
            save_weights_only=True,
            save_freq=save_freq,
        )
        make_model().fit(*data, shuffle=False, epochs=4, verbose=0, callbacks=[checkpoint])
    files = [sorted(p.name for p in (tmp_path / f).iterdir()) for f in ("ours", "theirs")]
    assert files[0] == files[1]
    assert files[0]


def test_messages(stand_in, capsys, tmp_path):
    """What `verbose=1` prints."""
    series = [1.0, 0.9, 0.95, 0.96, 0.97]
    printed = []
    for module in BOTH:
        monitors = [
            module.ModelCheckpoint("best.keras", "loss", verbose=1, save_best_only=True),
            module.ModelCheckpoint(f"{tmp_path}/{{epoch}}.keras", "loss", verbose=1),
            module.ReduceLROnPlateau("loss", factor=0.5, patience=1, verbose=1),
            module.EarlyStopping("loss", patience=3, verbose=1, restore_best_weights=True),
        ]
        model = stand_in()
        for callback in monitors:
            callback.set_model(model)
            callback.on_train_begin()
        for epoch, value in enumerate(series):
            model.weights = epoch
            for callback in monitors:
                callback.on_epoch_end(epoch, {"loss": value})
        for callback in monitors:
            callback.on_train_end()
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    for words in ("early stopping", "Restoring", "reducing", "improved", "did not", "finished"):
        assert words in printed[0]


@since_3_15
def test_several_optimizers(stand_in, capsys):
    logged, printed = [], []
    for module in BOTH:
        model = stand_in()
        inner = [keras.optimizers.SGD(0.1, name="first"), keras.optimizers.SGD(0.2, name="second")]
        model.optimizer = type("Several", (), {"optimizers": inner})()
        reduce = module.ReduceLROnPlateau("loss", patience=1, verbose=1)
        reduce.set_model(model)
        reduce.on_train_begin()
        for epoch in range(3):
            logs = {"loss": 1.0}
            reduce.on_epoch_end(epoch, logs)
        logged.append(logs)
        printed.append(capsys.readouterr().out)
    assert logged[0] == logged[1]
    assert printed[0] == printed[1]
    assert "second" in printed[0]
