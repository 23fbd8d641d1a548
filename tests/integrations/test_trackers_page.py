"""The Python of docs/trackers.md that needs a tracker."""

import re
from pathlib import Path

import pytest
from side_by_side import FIRST, Failed, data, make_model, run

PAGE = Path(__file__).parents[2] / "docs" / "trackers.md"
BLOCKS = dict(re.findall(r"<!-- on: with (\w+) -->\n```python\n(.*?)```", PAGE.read_text(), re.S))


def execute(tracker):
    import keras

    from fitwatch import callbacks

    x, y = data()
    names = {"callbacks": callbacks, "keras": keras, "model": make_model(), "x": x, "y": y}
    exec(BLOCKS[tracker], names | {tracker: __import__(tracker)})


def mlflow(enable):
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    execute("mlflow")
    (found,) = mlflow.MlflowClient().search_runs(["0"])
    return found.data.metrics


def wandb(enable):
    import os

    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    execute("wandb")
    return [path.name for path in Path().glob("wandb/offline-run-*/*.wandb")]


@pytest.mark.parametrize("tracker", BLOCKS)
def test_it_runs(tracker):
    found = run(__name__, tracker, FIRST)
    assert not isinstance(found, Failed), found[-8000:]
    assert len(found) >= 1


def test_both_are_on_the_page():
    assert set(BLOCKS) == {"mlflow", "wandb"}
