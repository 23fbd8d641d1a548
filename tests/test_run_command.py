"""`python -m fitwatch run`: a script runs as it does by itself, with fitwatch enabled."""

import os
import signal
import subprocess
import sys

import keras
import pytest

from fitwatch.__main__ import main
from fitwatch._cli import arguments

BEGIN = """
import os, sys
os.environ["KERAS_BACKEND"] = {backend!r}
print(sys.argv[1:], __name__, os.path.basename(__file__), os.path.basename(sys.path[0]))
import helper
import __main__
assert __main__.helper is helper
"""


def run(tmp_path, body, *arguments, plainly=False, options=()):
    script = tmp_path / "train.py"
    script.write_text(BEGIN.format(backend=keras.config.backend()) + body)
    (tmp_path / "helper.py").write_text("")
    by = [] if plainly else ["-m", "fitwatch", "run", *options]
    command = [sys.executable, *by, str(script)]
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        cwd="/",
        timeout=300,
    )


ENDINGS = {
    "by itself": "",
    "exit": "sys.exit(7)",
    "exit with a message": "sys.exit('no data')",
    "exception": "def f():\n    raise ValueError('mine')\nf()",
    "interrupt": "raise KeyboardInterrupt",
    "syntax error": "def f(:",
    "abort": "os.abort()",
    "interrupt with an open file": """
import atexit, threading, time
file = open(sys.argv[1], "a"); file.write("row"); atexit.register(print, "at exit")
threading.Thread(target=lambda: (time.sleep(0.3), print("thread"))).start()
raise KeyboardInterrupt""",
    "its own excepthook": "sys.excepthook = lambda *a: print('hook', a[0])\n1/0",
    "arguments": "print(sys.argv)",
    "its own names": """
x: int = 3
print(sorted(globals()), __annotations__, globals().get("__cached__", "none"), __file__)
print(__doc__, __name__, __package__, __spec__, __builtins__ is sys.modules["builtins"])
print(type(__loader__), __loader__.name, __loader__.path)
print(__loader__.get_source("__main__")[:20])""",
}


@pytest.mark.parametrize("body", ENDINGS.values(), ids=ENDINGS)
def test_it_ends_as_the_script_by_itself(tmp_path, body):
    """The arguments, the exit status, the output and the traceback."""
    arguments = [str(tmp_path / "file"), "--", "--epochs", "3", "-x", "run", ""]
    theirs = run(tmp_path, body, *arguments, plainly=True)
    ours = run(tmp_path, body, *arguments)
    if "open(" in body:
        assert (tmp_path / "file").read_text() == "rowrow"
    assert ours.returncode == theirs.returncode
    assert ours.stdout == theirs.stdout
    assert ours.stderr == theirs.stderr


def test_a_script_that_is_missing(tmp_path):
    command = [sys.executable, "-m", "fitwatch", "run", str(tmp_path / "no.py")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "can't open" in result.stderr


@pytest.mark.parametrize(
    ("given", "split"),
    [
        (["train.py", "-m", "x"], (["train.py"], ["-m", "x"])),
        (["-m", "x.y", "-m", "z"], (["-m", "x.y"], ["-m", "z"])),
        (["-mx", "--", "y"], (["-mx"], ["--", "y"])),
        (["--resume-dir", "-m", "--save-interval=3", "-m", "x"], (..., [])),
        (["--save-interval", "3", "train.py", "--resume-dir"], (..., ["--resume-dir"])),
    ],
)
def test_what_follows_the_program_is_its_own(given, split):
    ours, theirs = split
    ours = given[: len(given) - len(theirs)] if ours is ... else ours
    assert arguments.split(["run", *given]) == (["run", *ours], theirs)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["-"], "must be the path of a file; code from the standard input"),
        (["-m"], "argument -m: expected one argument"),
        (["-c", "print(1)"], "unrecognized arguments: -c"),
    ],
)
def test_what_cannot_be_run(given, told, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["run", *given])
    assert told in capsys.readouterr().err


TRAINING = """
import keras
from keras.callbacks import EarlyStopping, ModelCheckpoint, TensorBoard
import numpy as np
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
board = TensorBoard(sys.argv[1], update_freq="batch")
history = model.fit(np.ones((64, 2)), np.ones((64, 1)), batch_size=8, epochs=2, verbose=2,
                    validation_split=0.25, callbacks=[EarlyStopping(), board])
print(type(board).__module__, sorted(history.history))
"""


def test_a_training_script(tmp_path):
    result = run(tmp_path, TRAINING, str(tmp_path / "logs"))
    assert result.returncode == 0, result.stderr
    assert "fitwatch.callbacks.tensorboard ['loss', 'val_loss']" in result.stdout
    assert "Epoch 2/2" in result.stdout
    assert any("fitwatch" in path.name for path in (tmp_path / "logs" / "train").iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupted_training_script(tmp_path):
    body = TRAINING.replace("board]", "board, Press()]").replace(
        "board =",
        """
import signal
class Press(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 3:
            signal.raise_signal(signal.SIGINT)
board =""",
    )
    result = run(tmp_path, body, str(tmp_path / "logs"))
    assert result.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in result.stderr
    from event_reader import read

    assert len(read(tmp_path / "logs" / "train")["batch_loss"][2]) == 4


TWO_FITS = """
import keras
import numpy as np
keras.utils.set_random_seed(1)
killed = sys.argv[1]
class Dies(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if self.params["epochs"] == 3 and self.epoch == 1 and batch == 5:
            if not os.path.exists(killed):
                open(killed, "x").close()
                os.kill(os.getpid(), 9)
    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        print("epoch", epoch, "of", self.params["epochs"], file=sys.stderr)
x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
for epochs in (2, 3):
    model = keras.Sequential([keras.layers.Dropout(0.1), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    history = model.fit(x, x[:, :1], batch_size=8, epochs=epochs, verbose=0, callbacks=[Dies()])
    print(history.history, model.get_weights(), int(model.optimizer.iterations))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_script_that_is_killed_and_run_again(tmp_path):
    """In its second fit; it prints what it prints when it is not killed."""
    (tmp_path / "never").write_text("")
    whole = run(tmp_path, TWO_FITS, str(tmp_path / "never"))
    killed, folder = str(tmp_path / "killed"), tmp_path / "resume"
    options = ["--resume-dir", str(folder), "--save-interval", "0"]
    dead = run(tmp_path, TWO_FITS, killed, options=options)
    assert dead.returncode == -signal.SIGKILL
    assert sorted(path.name for path in folder.iterdir()) == ["1", "2"]
    again = run(tmp_path, TWO_FITS, killed, options=options)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[1:] == whole.stdout.splitlines()[1:]
    assert "epoch 0 of 2" not in again.stderr
    assert "epoch 2 of 3" in again.stderr
    assert not folder.exists()
