"""Ray Tune's report callback, in trials of a cluster on this machine."""

import sys
from pathlib import Path

from side_by_side import around, fit, lists, make_model

PACKAGES = ["ray"]


def trials(enable):
    import ray
    from ray import tune

    first = "fitwatch" in sys.modules
    enable()
    on = "fitwatch" in sys.modules

    def enable_here():
        import fitwatch

        fitwatch.enable()

    def train(config):  # in a process of its own
        if first:
            enable_here()
        from ray.tune.integration.keras import TuneReportCheckpointCallback

        made = around(TuneReportCheckpointCallback(checkpoint_on=[]))[config["place"]]
        if on:
            enable_here()
        fit(make_model(), *made)
        assert lists() == {on}

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, configure_logging=False)
    space = {"place": tune.grid_search([0, 1])}
    config = tune.RunConfig(storage_path=str(Path("ray").absolute()), verbose=0)
    results = tune.Tuner(train, param_space=space, run_config=config).fit()
    rows = [
        [
            result.config,
            result.metrics_dataframe.filter(regex="loss|mae|training_iteration").to_dict("records"),
        ]
        for result in results
        if result.error is None
    ]
    assert len(rows) == 2, results.errors
    ray.shutdown()
    return sorted(rows, key=str)


def test_trials(recorded):
    config, rows = recorded(trials)[0]
    assert config == {"place": 0}
    assert [row["training_iteration"] for row in rows] == [1, 2, 3]
