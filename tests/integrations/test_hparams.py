"""TensorBoard's plugin for hyperparameters, in the folder of the TensorBoard callback."""

from pathlib import Path

from side_by_side import companions, fit, make_model, read_events

PACKAGES = ["tensorboard", "tensorflow"]


def session(enable):
    import keras
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import api, metadata

    def callbacks(place, log_dir):
        board = keras.callbacks.TensorBoard(log_dir, update_freq=1)
        parameters = api.KerasCallback(log_dir, {"rate": 0.1, "batch": 16}, trial_id=log_dir)
        return [parameters, *companions(), board] if place == 0 else [board, parameters]

    made = [callbacks(place, log_dir) for place, log_dir in enumerate(("in_front", "behind"))]
    enable()
    model = make_model()
    recorded = {}
    for log_dir, of_fit in zip(("in_front", "behind"), made, strict=True):
        fit(model, *of_fit)
        events = EventAccumulator(log_dir)
        events.Reload()
        tags = events.PluginTagToContent("hparams")
        start = metadata.parse_session_start_info_plugin_data(tags[metadata.SESSION_START_INFO_TAG])
        end = metadata.parse_session_end_info_plugin_data(tags[metadata.SESSION_END_INFO_TAG])
        values = {name: value.number_value for name, value in start.hparams.items()}
        folders = {
            path.name: read_events(path) for path in Path(log_dir).iterdir() if path.is_dir()
        }
        recorded[log_dir] = [values, end.status, folders]
    return recorded


def test_session(recorded):
    values, status, folders = recorded(session)["behind"]
    assert values == {"rate": 0.1, "batch": 16}
    assert status == 1
    assert len(folders["train"]["batch_loss"][1]) == 9
