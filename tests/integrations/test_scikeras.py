"""SciKeras: histories and scores of estimators, whose callbacks it makes and copies."""

from side_by_side import data, make_model

PACKAGES = ["scikeras"]


def build(rate=0.1):
    return make_model(rate)


def estimators(enable):
    import keras
    import numpy as np
    from scikeras.wrappers import KerasClassifier
    from sklearn.model_selection import GridSearchCV

    # A class, which SciKeras calls with the arguments of its own; and an instance.
    by_class = KerasClassifier(
        model=build,
        callbacks=keras.callbacks.EarlyStopping,
        callbacks__monitor="val_loss",
        callbacks__patience=1,
        callbacks__min_delta=0.2,
        fit__validation_split=0.25,
        epochs=4,
        batch_size=16,
        verbose=0,
        random_state=0,
    )
    stopping = keras.callbacks.EarlyStopping("loss", patience=1, min_delta=0.2)
    by_instance = KerasClassifier(
        model=build, callbacks=[stopping], epochs=4, batch_size=16, verbose=0, random_state=0
    )
    enable()
    x, y = data()
    histories = [by_class.fit(x, y).history_, by_instance.fit(x, y).history_]
    search = GridSearchCV(by_instance, {"model__rate": [0.01, 0.5]}, cv=2, refit=False)
    search.fit(x, y)
    scores = np.asarray(search.cv_results_["mean_test_score"]).tolist()
    return {"histories": histories, "scores": scores}


def test_histories(recorded):
    histories = recorded(estimators)["histories"]
    assert [len(history["loss"]) for history in histories] == [2, 2]
    assert "val_loss" in histories[0]
