"""Optuna's pruning callback: what a study keeps of its trials."""

from side_by_side import around, fit, make_model

PACKAGES = ["optuna", "optuna-integration"]


def study(enable):
    import optuna
    from optuna_integration import KerasPruningCallback

    enable()

    def objective(trial):
        model = make_model(trial.suggest_float("rate", 1e-3, 1.0, log=True))
        pruning = KerasPruningCallback(trial, "val_loss")
        in_front, behind = around(pruning)
        history = fit(model, *(in_front if trial.number % 2 else behind))
        return history["val_loss"][-1]

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        sampler=optuna.samplers.RandomSampler(seed=1),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=1),
    )
    study.optimize(objective, n_trials=4)
    return [
        [trial.state.name, trial.params, list(trial.intermediate_values.items()), trial.value]
        for trial in study.trials
    ]


def test_trials(recorded):
    states = [state for state, *_ in recorded(study)]
    assert {"COMPLETE", "PRUNED"} == set(states)
