"""SwanLab, offline: the scalars that it stores."""

from side_by_side import around, fit, make_model

PACKAGES = ["swanlab"]


def logged(enable, log_freq):
    import swanlab
    from swanlab.integration.keras import SwanLabCallback

    class Stored(swanlab.Callback):
        name = "stored"

        def on_scalar_flush(self, scalar_records, *args, **kwargs):
            stored.extend([r.key, r.step, r.value.number] for r in scalar_records)

    stored = []
    swanlab.init(project="test", mode="offline", log_dir="swanlog", callbacks=[Stored()])
    made = around(SwanLabCallback(log_freq=log_freq))
    enable()
    model = make_model()
    for callbacks in made:
        fit(model, *callbacks)
    swanlab.finish()
    return sorted(stored)


def epochs(enable):
    return logged(enable, "epoch")


def batches(enable):
    return logged(enable, "batch")


def test_scalars_of_epochs(recorded):
    stored = recorded(epochs)
    assert [step for name, step, _ in stored if name == "epoch/val_loss"]
    assert "epoch/learning_rate" in {name for name, *_ in stored}


def test_scalars_of_batches(recorded):
    stored = recorded(batches)
    assert [step for name, step, _ in stored if name == "batch/loss"] == list(range(1, 19))
