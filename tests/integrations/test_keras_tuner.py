"""KerasTuner, which copies callbacks for each trial: the files of its trials."""

import json
from pathlib import Path

from side_by_side import companions, data, make_model

PACKAGES = ["keras-tuner"]


def search(enable):
    import keras_tuner

    def build(hp):
        return make_model(hp.Choice("rate", [0.01, 0.1, 0.5]))

    made = companions()
    tuner = keras_tuner.RandomSearch(
        build, "val_loss", max_trials=3, executions_per_trial=2, seed=1, directory="search"
    )
    enable()
    options = {"validation_data": data(20), "epochs": 2, "batch_size": 16, "verbose": 0}
    tuner.search(*data(), callbacks=made, **options)
    trials = [json.loads(path.read_text()) for path in sorted(Path("search").rglob("trial.json"))]
    for trial in trials:
        del trial["trial_id"]
    rows = sorted(path.read_text() for path in Path().rglob("log.csv"))
    return {"trials": trials, "rows": rows}


def test_trials(recorded):
    trials = recorded(search)["trials"]
    assert [trial["status"] for trial in trials] == ["COMPLETED"] * 3
