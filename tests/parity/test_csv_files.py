"""Random logs through Keras's CSVLogger and ours: the same file, byte for byte."""

import keras
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fitwatch import callbacks

# What Keras can write, and read back: `csv` has no character for half a surrogate pair.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
numbers = st.floats() | st.integers() | st.floats(width=32).map(np.float32)
arrays = st.lists(st.floats(width=32), max_size=3).map(np.array) | st.floats().map(np.array)
values = numbers | numbers | arrays | texts | st.none() | st.lists(st.integers(), max_size=3)
names = st.sampled_from(["loss", "acc", "val_loss", "a b"]) | texts.map(lambda text: "m" + text)


@st.composite
def runs(draw):
    """Some epochs of logs; the first has all names, and a later one may lack some."""
    metrics = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    first = {name: draw(values) for name in metrics}
    later = st.fixed_dictionaries({}, optional=dict.fromkeys(metrics, values))
    return [first, *draw(st.lists(later, max_size=3))]


@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    epochs=runs(),
    separator=st.sampled_from([",", ";", "\t", "|", " ", "·"]),
    restart=st.integers(0, 3),
)
def test_random_logs(epochs, separator, restart, tmp_path):
    written = []
    for module in (callbacks, keras.callbacks):
        path = tmp_path / f"{module.__name__}.csv"
        for part, append in ((epochs[:restart], False), (epochs[restart:], True)):
            logger = module.CSVLogger(path, separator=separator, append=append)
            logger.on_train_begin()
            # Keras writes other columns where the first row after a restart has other names.
            for epoch, logs in enumerate(part):
                logger.on_epoch_end(epoch, logs if epoch else {**epochs[0], **logs})
            logger.on_train_end()
        written.append(path.read_bytes())
    assert written[0] == written[1]


def test_a_real_fit(make_model, data, tmp_path):
    for module in (callbacks, keras.callbacks):
        loggers = [
            module.CSVLogger(tmp_path / f"{module.__name__}.{frequency}.csv")
            for frequency in (1, 2, 3)
        ]
        for frequency, logger in enumerate(loggers, 1):
            make_model().fit(
                *data,
                validation_data=data,
                validation_freq=frequency,
                shuffle=False,
                epochs=4,
                verbose=0,
                callbacks=[module.LearningRateScheduler(lambda epoch, lr: lr / 2), logger],
            )
    for frequency in (1, 2, 3):
        ours, theirs = (
            (tmp_path / f"{module.__name__}.{frequency}.csv").read_bytes()
            for module in (callbacks, keras.callbacks)
        )
        assert ours == theirs
    assert ours.startswith(b"epoch,accuracy,learning_rate,loss,val_accuracy,")
