"""SwanLab, offline: the scalars that it stores."""

from side_by_side import around, fit, make_model

PACKAGES = ["swanlab"]


def logged(enable):
    """Every batch and every epoch."""
    import swanlab
    from swanlab.integration.keras import SwanLabCallback

    class Stored(swanlab.Callback):
        name = "stored"

        def on_scalar_flush(self, scalar_records, *args, **kwargs):
            stored.extend([r.key, r.step, r.value.number] for r in scalar_records)

    stored = []
    swanlab.init(project="test", mode="offline", log_dir="swanlog", callbacks=[Stored()])
    made = around(SwanLabCallback(log_freq="batch"))
    enable()
    model = make_model()
    for callbacks in made:
        fit(model, *callbacks)
    swanlab.finish()
    return sorted(stored)


def test_scalars(recorded):
    stored = recorded(logged)
    assert [step for name, step, _ in stored if name == "batch/loss"] == list(range(1, 19))
    assert {"epoch/val_loss", "epoch/learning_rate"} <= {name for name, *_ in stored}
