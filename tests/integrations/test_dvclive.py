"""DVCLive, without a repository: the files that it writes."""

import json
from pathlib import Path

from side_by_side import around, fit, make_model

PACKAGES = ["dvclive"]


def live(enable):
    from dvclive import Live
    from dvclive.keras import DVCLiveCallback

    made = [
        around(DVCLiveCallback(live=Live(folder, save_dvc_exp=False, dvcyaml=False)))[place]
        for place, folder in enumerate(("in_front", "behind"))
    ]
    enable()
    model = make_model()
    for callbacks in made:
        fit(model, *callbacks)
    return {
        folder: {
            "metrics": json.loads(Path(folder, "metrics.json").read_text()),
            "tables": {
                str(path.relative_to(folder)): [row.split("\t") for row in path.read_text().split()]
                for path in Path(folder, "plots").rglob("*.tsv")
            },
        }
        for folder in ("in_front", "behind")
    }


def test_files(recorded):
    done = recorded(live)["behind"]
    assert done["metrics"]["step"] == 2
    assert len(done["tables"]) == 7  # of six metrics, and the learning rate
