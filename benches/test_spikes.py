"""Which rule finds spikes of the loss: false alarms, and how soon and how surely a spike is seen.

The reference is the default rule of Lightning's `SpikeDetection`: a loss above the one before, and
away from the mean of the last ten ordinary losses by twice that mean or more. Other candidates are
compared where they differ: fitwatch's rule without limits on what a value changes, with a mean over
the whole window, and with standard deviations. Runs on one backend: there is none in the core.

`FITWATCH_BENCH_BATCHES` is how many losses of each kind are judged; the default is 10 million, a
tenth of them by the rules in Python.
"""

import math
import os
import time
from collections import deque

import keras
import numpy as np
import pytest
from conftest import note

from fitwatch import callbacks
from fitwatch._core import Spikes

pytestmark = pytest.mark.skipif(keras.config.backend() != "jax", reason="once is enough")

BATCHES = int(os.environ.get("FITWATCH_BENCH_BATCHES", 10**7))
THRESHOLD, WINDOW, WARMUP = 25.0, 100, 100
LIGHTNING = "Lightning's rule"
UNLIMITED = "without limits"
ONE_WINDOW = "with a mean over the whole window"
STANDARD = "by standard deviations"


def ours(losses):
    """The batches that fitwatch's rule takes for spikes."""
    return Spikes(THRESHOLD, WINDOW, WARMUP).judge(np.ascontiguousarray(losses, "float64"))


def lightning(losses):
    """The same of Lightning's rule, with its defaults."""
    found, recent, last = [], deque(maxlen=10), 0.0
    for batch, loss in enumerate(map(float, losses)):
        mean = sum(recent) / len(recent) if recent else math.nan
        jumps = loss > last and abs(loss - mean) >= 2 * abs(mean)
        if batch >= 1 and (jumps or not math.isfinite(loss)):
            found.append(batch)
        else:
            recent.append(loss)
            last = loss
    return found


def variant(losses, *, limit=5.0, mean_window=WINDOW // 10, power=1):
    """The scores of a rule like fitwatch's, for series in columns: above the threshold is a spike.

    With `power=2`, deviations are standard deviations.
    """
    mean, size = losses[0].copy(), np.zeros(losses.shape[1:])
    found = [size]
    for batch, loss in enumerate(losses[1:], 1):
        difference, deviation = loss - mean, size ** (1 / power)
        known = deviation > 0
        scale = np.where(known, deviation, 1)
        found.append(np.where(known & (batch >= WARMUP), difference / scale, 0))
        most = np.where(known, limit * scale, np.inf)
        change = np.clip(difference, -most, most)
        mean = mean + max(1 / (batch + 1), 1 / mean_window) * change
        size = size + max(1 / batch, 1 / WINDOW) * (np.abs(change) ** power - size)
    return np.array(found)


def unlimited(losses):
    """The batches that a rule like fitwatch's takes for spikes, without limits."""
    return np.flatnonzero(variant(np.asarray(losses), limit=np.inf) > THRESHOLD)


def one_window(losses):
    """The same with a mean over the whole window."""
    return np.flatnonzero(variant(np.asarray(losses), mean_window=WINDOW) > THRESHOLD)


def test_the_core_has_this_rule():
    losses = noisy(0)
    losses[BEGIN : BEGIN + 9 : 4] += 9
    assert ours(losses) == np.flatnonzero(variant(losses) > THRESHOLD).tolist()


def correlated(rng, count, memory=100):
    """Normal noise that a batch shares with about as many before it."""
    share = 1 - 1 / memory
    steps = np.sqrt(1 - share**2) * rng.standard_normal(count)
    # Blocks are independent of each other, so that they are made at once.
    noise = steps.reshape(-1, 1000).T.copy()
    noise[0] = rng.standard_normal(noise.shape[1])
    for batch in range(1, len(noise)):
        noise[batch] += share * noise[batch - 1]
    # Each block ends where it began: the next one follows without a jump.
    ramp = np.linspace(0, 1, len(noise))[:, None]
    following = np.roll(noise[0], -1)
    return (noise + ramp * (following - noise[-1])).T.ravel()


STATIONARY = {
    "noise (normal, 10% of the loss)": lambda rng, n: 1 + 0.1 * rng.standard_normal(n),
    "strong noise (gamma, 70%)": lambda rng, n: rng.gamma(2, 0.5, n),
    "skewed noise (lognormal, 50%)": lambda rng, n: np.exp(0.5 * rng.standard_normal(n)),
    "heavy tails (Student's t, 6 degrees of freedom)": lambda rng, n: (
        3 + 0.1 * rng.standard_t(6, n)
    ),
    "correlated noise (over 100 batches)": lambda rng, n: 1 + 0.1 * correlated(rng, n),
}
OTHERS = {
    "falling (1/batches, 10% noise)": lambda rng, n: (
        (0.05 + 100 / (np.arange(n) % 10**6 + 50)) * (1 + 0.1 * rng.standard_normal(n))
    ),
    "very heavy tails (Student's t, 4 degrees of freedom)": lambda rng, n: (
        3 + 0.1 * rng.standard_t(4, n)
    ),
}


def per_million(rule, make, count):
    """The false alarms of a rule in a million batches, where no spike is put in."""
    alarms, block = 0, min(count, 10**6)
    for seed in range(count // block):
        alarms += len(rule(make(np.random.default_rng(seed), block)))
    return alarms / (count / 1e6)


@pytest.mark.parametrize("kind", [*STATIONARY, *OTHERS])
def test_false_alarms(kind):
    make = {**STATIONARY, **OTHERS}[kind]
    found = per_million(ours, make, BATCHES)
    theirs = per_million(lightning, make, BATCHES // 10)
    what = f"false alarms in a million batches: {kind}"
    note("spikes", what, [found], [theirs], beside=LIGHTNING, unit="")
    if kind in STATIONARY:
        assert found < 1


def seen_after(rule, series, begin):
    """How many batches after the first spike one is seen; infinite if none is."""
    return next((batch - begin for batch in rule(series) if batch >= begin), math.inf)


ROUNDS = 100
BEGIN = 2000


def noisy(seed, length=BEGIN + 500):
    return 1 + 0.1 * np.random.default_rng(seed).standard_normal(length)


@pytest.mark.parametrize("size", [15, 25, 50])
def test_a_single_spike_is_seen(size):
    def share(rule):
        found = 0
        for seed in range(ROUNDS):
            losses = noisy(seed)
            losses[BEGIN] = 1 + 0.1 * size
            found += BEGIN in rule(losses)
        return found / ROUNDS

    what = f"seen: one batch that is {size} deviations too high"
    note("spikes", what, [share(ours)], [share(lightning)], beside=LIGHTNING, unit="%")


@pytest.mark.parametrize("growth", [1.02, 1.2])
def test_a_loss_that_grows_is_seen(growth):
    def batches(rule):
        times = []
        for seed in range(ROUNDS):
            losses = noisy(seed)
            losses[BEGIN:] *= growth ** np.arange(len(losses) - BEGIN)
            times.append(seen_after(rule, losses, BEGIN))
        return times

    what = f"batches until it is seen: a loss that grows by {growth - 1:.0%} a batch"
    note("spikes", what, batches(ours), batches(lightning), beside=LIGHTNING, unit="")


def test_spikes_do_not_hide_the_next_ones():
    places = BEGIN + 40 * np.arange(10)

    def share(rule):
        found = 0
        for seed in range(ROUNDS):
            losses = noisy(seed)
            losses[places] = 11.0 * 1.0 ** np.arange(10)
            losses[places[0]] = 1001.0
            found += len({*places} & {*rule(losses)})
        return found / (10 * ROUNDS)

    what = "seen of 10 spikes, 40 batches apart, of which the first is the largest"
    for beside, rule in {LIGHTNING: lightning, UNLIMITED: unlimited}.items():
        note("spikes", what, [share(ours)], [share(rule)], beside=beside, unit="%")


@pytest.mark.parametrize("deviations", [30, 1000])
def test_a_level_that_lasts_is_accepted(deviations):
    def alarms(rule):
        losses = noisy(0, BEGIN + 3000)
        losses[BEGIN:] += 0.1 * deviations
        return [len(rule(losses))]

    what = f"alarms until it is accepted: a level that is {deviations} deviations higher"
    note("spikes", what, alarms(ours), alarms(lightning), beside=LIGHTNING, unit="")


def test_which_deviations():
    """Both rules with the threshold that they need for one false alarm in a million batches."""

    def needed(power):
        # In standard deviations of normal noise.
        unit = 1.0 if power == 2 else math.sqrt(2 / math.pi)
        worst = 0.0
        for make in STATIONARY.values():
            made = make(np.random.default_rng(0), 4_000_000).reshape(1000, 4000).T
            found = np.sort(variant(np.ascontiguousarray(made), power=power), axis=None)
            worst = max(worst, found[-1 - len(found) // 10**6] * unit)
        return worst

    def hidden(power):
        losses = noisy(0)
        losses[BEGIN : BEGIN + 100] += 10.0
        threshold = THRESHOLD if power == 1 else THRESHOLD * math.sqrt(2 / math.pi)
        return np.sum(variant(losses, power=power)[BEGIN : BEGIN + 100] > threshold)

    what = "standard deviations of normal noise that a spike needs, at one false alarm in a million"
    note("spikes", what, [needed(1)], [needed(2)], beside=STANDARD, unit="")
    what = "seen of 100 spikes in a row, of 100 standard deviations"
    note("spikes", what, [int(hidden(1))], [int(hidden(2))], beside=STANDARD, unit="")


def test_wrong_labels_in_digits():
    """A real training: batches whose labels are all wrong, from the second epoch on."""
    x, y = digits()
    size, epochs = 32, 40
    batches = len(x) // size
    rng = np.random.default_rng(0)
    wrong = np.sort(rng.choice(np.arange(2 * batches, epochs * batches, 25), 40, replace=False))
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(64, "relu"), keras.layers.Dense(10)]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss)
    order = np.concatenate([rng.permutation(len(x))[: batches * size] for _ in range(epochs)])
    labels = y[order].reshape(-1, size)
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, labels[wrong].shape)) % 10
    history = callbacks.LossHistory()
    model.fit(
        x[order], labels.ravel(), batch_size=size, shuffle=False, verbose=0, callbacks=[history]
    )
    losses = np.asarray(history.losses, "float64")
    assert len(losses) == epochs * batches

    def found(rule):
        alarms = rule(losses)
        # The batches after a wrong one suffer from what was learned from it.
        near = {int(batch) + after for batch in wrong for after in range(10)}
        seen = len({*wrong.tolist()} & {*alarms})
        return seen / len(wrong), sum(batch not in near for batch in alarms)

    seen, alarms = found(ours)
    what = f"digits, {len(losses)} batches"
    for beside, rule in {LIGHTNING: lightning, ONE_WINDOW: one_window}.items():
        theirs = found(rule)
        of = f"{what}: seen of {len(wrong)} with wrong labels"
        note("spikes", of, [seen], [theirs[0]], beside=beside, unit="%")
        note("spikes", f"{what}: false alarms", [alarms], [theirs[1]], beside=beside, unit="")


def digits():
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.data.astype("float32") / 16, data.target.astype("int32")


def test_the_rule_is_fast():
    losses = noisy(0, 10**7)
    times = []
    for _ in range(5):
        began = time.process_time()
        ours(losses)
        times.append((time.process_time() - began) / len(losses))
    note("spikes", "processor time to judge a loss, in the core", times)
