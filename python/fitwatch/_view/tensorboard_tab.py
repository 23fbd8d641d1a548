"""The tab "Fitwatch" in TensorBoard: a plugin, found by its entry point `tensorboard_plugins`."""

import argparse
import logging
import os
from typing import Any

from tensorboard.plugins import base_plugin

NOTHING = os.path.join(os.devnull, "nothing")  # a path that cannot exist

log = logging.getLogger(__name__)


class Loader(base_plugin.TBLoader):  # type: ignore[misc]
    """Makes the plugin. TensorBoard does not start if `load()` raises, so it does not."""

    def define_flags(self, parser: Any) -> None:
        """Adds `--fitwatch_logdir`."""
        parser.add_argument_group("fitwatch").add_argument(
            "--fitwatch_logdir",
            metavar="PATH",
            action=_Folder,
            default="",
            help="The folder that the tab Fitwatch shows, in place of --logdir. Without --logdir, "
            "TensorBoard itself loads nothing.",
        )

    def fix_flags(self, flags: Any) -> None:
        """Keeps TensorBoard's own loader at rest: an empty text means the current folder to it."""
        if flags.fitwatch_logdir and not flags.logdir and not flags.logdir_spec:
            flags.logdir_spec = NOTHING

    def load(self, context: Any) -> Any:
        """The plugin, or None if it cannot be loaded."""
        try:
            return _plugin(context)
        except Exception:
            log.warning("The tab Fitwatch is not available", exc_info=True)
            return None


class _Folder(argparse.Action):
    """Keeps the folder, and says to TensorBoard that there are data.

    TensorBoard does not start without `--logdir`, `--logdir_spec` or `--db`, of which it no longer
    uses the last.
    """

    def __call__(
        self, parser: Any, namespace: Any, values: Any, option_string: str | None = None
    ) -> None:
        setattr(namespace, self.dest, values)
        namespace.db = values


def _plugin(context: Any) -> Any:
    from fitwatch._view.server.application import Application
    from fitwatch._view.server.run_source import RunSource

    logdir = getattr(context.flags, "fitwatch_logdir", "") or context.logdir
    source = RunSource(os.path.expanduser(logdir)) if logdir else None

    class Plugin(base_plugin.TBPlugin):  # type: ignore[misc]
        plugin_name = "fitwatch"

        def get_plugin_apps(self) -> dict[str, Any]:
            return {} if source is None else Application(source).routes

        def is_active(self) -> bool:
            if source is None:
                return False
            source.start()
            return source.reading or bool(source.runs)

        def frontend_metadata(self) -> base_plugin.FrontendMetadata:
            return base_plugin.FrontendMetadata(es_module_path="/index.js", tab_name="Fitwatch")

    return Plugin(context)
