"""livelossplot: what its logger keeps, and what its table of extrema prints."""

from side_by_side import around, fit, make_model

PACKAGES = ["livelossplot"]


def plots(enable):
    from livelossplot.inputs.keras import PlotLossesCallback

    callbacks = [PlotLossesCallback(outputs=["ExtremaPrinter"]) for _ in range(2)]
    made = around(callbacks[0])[0], around(callbacks[1])[1]
    enable()
    model = make_model()
    for callbacks_of_fit in made:
        fit(model, *callbacks_of_fit)
    plots = [callback.liveplot for callback in callbacks]
    return [[plot.logger.log_history, plot.outputs[0].last_message] for plot in plots]


def test_history(recorded):
    history, table = recorded(plots)[1]
    assert [step for step, _ in history["val_loss"]] == [0, 1, 2]
    assert "Loss" in table
