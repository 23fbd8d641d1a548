"""MLflow, in a local store: metrics, parameters, tags and files of runs."""

from pathlib import Path

from side_by_side import around, companions, fit, make_model, read_events

PACKAGES = ["mlflow"]


def connect():
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("test", Path("files").absolute().as_uri())
    )


def runs():
    """Everything of every run, in order, but what the clock decides."""
    import mlflow

    mlflow.flush_async_logging()
    client = mlflow.MlflowClient()
    return [
        {
            "status": run.info.status,
            "params": run.data.params,
            "metrics": {
                name: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, name)]
                for name in run.data.metrics
            },
            "tags": {name: run.data.tags[name] for name in run.data.tags if "autolog" in name},
            **files(Path("files", run.info.run_id, "artifacts")),
        }
        for run in client.search_runs(["1"], order_by=["attributes.start_time ASC"])
    ]


def files(folder):
    """The names of all files, and what is in those of TensorBoard."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    events = [path for path in paths if "tfevents" in path.name]
    return {
        "files": [str(path.relative_to(folder)) for path in paths if path not in events],
        "events": {f"{path.parent.name}/events": read_events(path.parent) for path in events},
    }


def keras_autolog(enable):
    """It is switched off and on again after enable(), too."""
    import mlflow

    connect()
    mlflow.keras.autolog(log_every_epoch=False, log_every_n_steps=1, log_models=False)
    enable()
    model = make_model()
    fit(model, *companions())
    mlflow.keras.autolog(disable=True)
    unlogged = fit(model, *companions())
    mlflow.keras.autolog(log_models=False)
    fit(model, *companions())
    return {"runs": runs(), "unlogged": unlogged}


def tensorflow_autolog(enable):
    """It adds a subclass of Keras's TensorBoard and a checkpoint.

    It logs the arguments of instances of `tf.keras.callbacks.EarlyStopping`. A callback made before
    enable() is not an instance of the class that has this name after it.
    """
    import mlflow

    connect()
    mlflow.tensorflow.autolog(log_models=False)
    enable()
    model = make_model()
    fit(model, *companions())
    fit(model)
    return runs()


def callback(enable):
    import mlflow

    connect()
    with mlflow.start_run():
        made = around(mlflow.keras.MlflowCallback(log_every_epoch=False, log_every_n_steps=1))
        enable()
        model = make_model()
        for callbacks in made:
            fit(model, *callbacks)
        return runs()


def test_keras_autolog(recorded):
    first, second = recorded(keras_autolog)["runs"]  # none of the fit in between
    assert [step for step, _ in first["metrics"]["loss"]] == list(range(1, 10))
    assert len(first["metrics"]["validation_loss"]) == 3
    assert first["params"]["epochs"] == "3"
    assert [step for step, _ in second["metrics"]["val_loss"]] == [0, 1, 2]


def test_tensorflow_autolog(recorded):
    first, _ = recorded(tensorflow_autolog)
    assert [step for step, _ in first["metrics"]["val_loss"]] == [0, 1, 2]
    assert "checkpoints/latest_checkpoint.h5" in first["files"]
    assert "train/events" in first["events"]
    assert first["params"]["patience"] == "5"


def test_callback(recorded):
    (run,) = recorded(callback)
    assert [step for step, _ in run["metrics"]["loss"]] == list(range(1, 19))
