"""tqdm's bars: what they are told, and what they show."""

import io

from side_by_side import around, fit, make_model

PACKAGES = ["tqdm"]


def bars(enable):
    from tqdm.keras import TqdmCallback
    from tqdm.std import tqdm

    told = []
    shown = io.StringIO()

    class Recording(tqdm):
        def __init__(self, *args, **kwargs):
            form = "{n_fmt}/{total_fmt} {unit}{postfix}"
            super().__init__(*args, file=shown, mininterval=0, bar_format=form, **kwargs)

        def update(self, n=1):
            told.append([self.unit, n])
            return super().update(n)

        def set_postfix(self, ordered_dict=None, refresh=True, **kwargs):
            told.append([self.unit, [[k, float(v)] for k, v in ordered_dict.items()]])
            return super().set_postfix(ordered_dict, refresh, **kwargs)

    callbacks = [TqdmCallback(verbose=verbose, tqdm_class=Recording) for verbose in (0, 1, 2)]
    made = [around(callback) for callback in callbacks]
    enable()
    model = make_model()
    for in_front, behind in made:
        fit(model, *in_front)
        fit(model, *behind)
    return {"told": told, "shown": shown.getvalue()}


def test_bars(recorded):
    """Each fit tells of three epochs; with verbose=1 and 2 of three batches in each, too."""
    told = recorded(bars)["told"]
    assert told.count(["epoch", 1]) == 6 * 3
    assert told.count(["batch", 1]) == 4 * 9
    names = {name for _, values in told if isinstance(values, list) for name, _ in values}
    assert {"loss", "accuracy", "mae", "val_loss"} <= names
