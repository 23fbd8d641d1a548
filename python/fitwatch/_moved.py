"""Old names of modules, which pickles of earlier versions refer to."""

import sys

from fitwatch._checkpoint import backup_dir, due_saves
from fitwatch._monitors import specs
from fitwatch._sinks import loss_record

# `fitwatch.callbacks` imports this module, and an import of `fitwatch.callbacks.X` imports that
# package first, so that these names are found.
sys.modules.update(
    {
        "fitwatch.callbacks._backup_folder": backup_dir,
        "fitwatch.callbacks._due_saves": due_saves,
        "fitwatch.callbacks._loss_record": loss_record,
        "fitwatch.callbacks._metrics": specs,
    }
)
