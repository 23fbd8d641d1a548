"""MLflowLogger with the real package: in SQLite, and with its server on loopback."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import warnings
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from side_by_side import FIRST, Failed, data, fit, make_model, run

pytestmark = pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow: not installed")
BATCHES = 100_000
STEPS_PER_CALL = 500
LIMIT = 600  # seconds that a job may take where other tests run beside it


def result_of(job):
    """What a job of this module returns; each runs once."""
    found = run(__name__, job.__name__, FIRST, LIMIT)
    assert not isinstance(found, Failed), found[-8000:]
    return found


def connect(uri=None):
    """Makes a local store the one that mlflow uses, or a server."""
    import mlflow

    mlflow.set_tracking_uri(uri or f"sqlite:///{Path('mlflow.db').absolute()}")
    files = Path("files").absolute().as_uri()
    mlflow.set_experiment(experiment_id=mlflow.create_experiment("test", files))


def stored(run_id):
    """What the store has of a run, without the clock."""
    import mlflow

    mlflow.flush_async_logging()
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    points = {name: client.get_metric_history(run_id, name) for name in run.data.metrics}
    summary = Path("files", run_id, "artifacts", "model_summary.txt")
    return {
        "status": run.info.status,
        "params": run.data.params,
        "points": {
            name: [[one.step, str(one.value)] for one in sorted(ones, key=lambda one: one.step)]
            for name, ones in points.items()
        },
        "summary": summary.read_text() if summary.exists() else None,
    }


def train_long(*more):
    """Trains on many batches; gives how many of their losses the active run has, and more."""
    import mlflow
    import numpy as np

    from fitwatch.callbacks import LossHistory, MLflowLogger

    model = make_model()
    model.compile("sgd", "binary_crossentropy", steps_per_execution=STEPS_PER_CALL)
    x, y = (np.resize(one, (BATCHES // 2, *one.shape[1:])) for one in data())
    losses = LossHistory()
    began = time.time()
    with mlflow.start_run() as run:
        callbacks = [losses, MLflowLogger(), *more]
        model.fit(x, y, batch_size=1, epochs=2, verbose=0, callbacks=callbacks)
    ended = time.time()
    points = mlflow.MlflowClient().get_metric_history(run.info.run_id, "loss")
    points.sort(key=lambda one: one.step)
    times = [one.timestamp / 1000 for one in points]
    return {
        "steps": [one.step for one in points] == list(range(1, BATCHES + 1)),
        "values": [one.value for one in points] == losses.losses.tolist(),
        "count": len(points),
        "times": [began - 1 < min(times), max(times) < ended + 1],
        "losses": len(set(losses.losses)),
    }


def many_in_sqlite(enable):
    connect()
    return train_long()


def start_server(port):
    """A server on loopback, with a store in this folder."""
    options = [
        "--backend-store-uri",
        "sqlite:///server.db",
        "--host",
        "127.0.0.1",
        "--workers",
        "1",
    ]
    with Path("server.log").open("a") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *options, "--port", str(port)],
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,  # it has workers
        )
    until = time.monotonic() + 120
    while True:
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health").read()
            return server
        assert server.poll() is None, Path("server.log").read_text()
        assert time.monotonic() < until
        time.sleep(0.1)


def stop(server):
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def many_on_a_server_that_is_killed(enable):
    """It is back before the training ends."""
    import keras

    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"  # else mlflow itself waits for minutes
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    servers = [start_server(port)]
    again = threading.Thread(target=lambda: servers.append(start_server(port)))

    class Kills(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                stop(servers[0])
                again.start()

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                again.join()

    try:
        connect(f"http://127.0.0.1:{port}")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = train_long(Kills())
        return found | {"warnings": [str(one.message) for one in caught]}
    finally:
        stop(servers[-1])


def beside_their_callback():
    """The same training with their callback, in both of its ways, and with ours."""
    import keras
    import mlflow

    from fitwatch.callbacks import MLflowLogger

    def recorded(make):
        keras.backend.clear_session()
        with mlflow.start_run() as run:
            fit(make_model(), make())
        return stored(run.info.run_id)

    theirs = mlflow.keras.MlflowCallback
    return {
        "batches": recorded(lambda: theirs(log_every_epoch=False, log_every_n_steps=1)),
        "epochs": recorded(theirs),
        "ours": recorded(MLflowLogger),
    }


def resumed():
    """A training is interrupted after batch 5, and goes on from the backup of batch 4."""
    import keras
    import mlflow

    from fitwatch.callbacks import BackupAndRestore, MLflowLogger

    with mlflow.start_run() as run:
        run_id = run.info.run_id

    def train(*more):
        backup = BackupAndRestore("backup", save_freq=2, exact=True)
        logger = MLflowLogger(run_id, every=1)
        fit(make_model(), logger, backup, *more, shuffle=False, validation_data=None)

    class Interrupts(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            if self.model.optimizer.iterations == 5:
                raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        train(Interrupts())
    before = stored(run_id)
    train()
    return [before, stored(run_id)]


def odd():
    """Names and values that a store may refuse, and runs that are not there."""
    import mlflow
    import numpy as np

    from fitwatch import Block
    from fitwatch.callbacks import MLflowLogger

    columns = {
        "loss": [np.nan, 0.5, np.inf],
        "f1@0.5 (%)": [0.25, np.nan, -np.inf],
        "../x" + "y" * 300: [1, 2, 3],
        "..": [1, 2, 3],
    }
    with mlflow.start_run() as run:
        tracker = MLflowLogger(log_params=False).action
        tracker.begin(type("Callback", (), {"model": make_model()}))
        block = Block("batch", [0, 1, 2], [0, 0, 0], [time.time()] * 3, columns)
        tracker(block)
        tracker._last = {}
        tracker(block)  # a call whose answer was lost
    errors = []
    mlflow.MlflowClient().delete_run(run.info.run_id)
    for run_id in (run.info.run_id, "no run", "0" * 32):
        try:
            fit(make_model(), MLflowLogger(run_id))
        except ValueError as error:
            errors.append(str(error))
    return {"points": stored(run.info.run_id)["points"], "errors": errors}


def small(enable):
    connect()
    return {job.__name__: job() for job in (beside_their_callback, resumed, odd)}


@pytest.mark.parametrize("job", [many_in_sqlite, many_on_a_server_that_is_killed])
def test_every_batch_is_there(job):
    found = result_of(job)
    ours = [text for text in found.pop("warnings", []) if text.startswith("MLflowLogger")]
    if job is many_on_a_server_that_is_killed:
        assert len(ours) == 1
        assert "kept for another try" in ours[0]
    assert found.pop("losses") > BATCHES / 2  # they differ
    wanted = {"steps": True, "values": True, "count": BATCHES, "times": [True, True]}
    assert found == wanted


def test_names_steps_and_parameters_are_theirs():
    found = result_of(small)["beside_their_callback"]
    ours, batches, epochs = (found[name] for name in ("ours", "batches", "epochs"))
    assert ours["params"] == batches["params"] == epochs["params"]
    assert ours["summary"] == batches["summary"]
    assert "dense" in ours["summary"]
    assert ours["status"] == "FINISHED"
    points, theirs = ours["points"], batches["points"]
    assert set(theirs) <= set(points)
    for name in ("loss", "accuracy", "mae"):
        assert [step for step, _ in points[name]] == [step for step, _ in theirs[name]]
    assert points["mae"] == theirs["mae"]
    validations = [name for name in theirs if name.startswith("validation_")]
    assert len(validations) == 3
    for name in validations:  # theirs have no step
        assert [step for step, _ in points[name]] == [3, 6, 9]
        assert sorted(value for _, value in points[name]) == sorted(v for _, v in theirs[name])
    for name, of_epochs in epochs["points"].items():
        if not name.startswith("validation_"):
            ours_of_it = name if name.startswith("val_") else f"epoch_{name}"
            assert points[ours_of_it] == of_epochs


def test_a_run_that_is_resumed():
    before, after = result_of(small)["resumed"]
    assert [step for step, _ in before["points"]["loss"]] == [1, 2, 3, 4, 5]
    assert [step for step, _ in after["points"]["loss"]] == list(range(1, 10))
    assert after["points"]["loss"][:5] == before["points"]["loss"]
    assert [step for step, _ in after["points"]["epoch_loss"]] == [0, 1, 2]


def test_names_and_values_that_are_refused():
    found = result_of(small)["odd"]
    largest = str(sys.float_info.max)  # what MLflow's stores in SQL have for infinity
    assert found["points"] == {
        "loss": [[1, "nan"], [2, "0.5"], [3, largest]],
        "f1_0.5 ___": [[1, "0.25"], [3, f"-{largest}"]],
        "_x" + "y" * 246: [[1, "1.0"], [2, "2.0"], [3, "3.0"]],
        "_": [[1, "1.0"], [2, "2.0"], [3, "3.0"]],
    }
    deleted, bad, unknown = found["errors"]
    assert "run_id must be a run that is not deleted" in deleted
    assert "run_id must be a run in sqlite" in bad
    assert "got '00000000000000000000000000000000'" in unknown
