"""IPython and its kernel: `%load_ext fitwatch`, and the interrupt of a cell."""

import keras
import pytest

import fitwatch

OURS, THEIRS = "fitwatch.callbacks.early_stopping", "keras.src.callbacks.early_stopping"


def test_the_extension():
    """Loaded, loaded again, and unloaded; what was loaded before keeps working."""
    pytest.importorskip("IPython")
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    states = []
    for magic in ("load", "load", "reload", "unload", "unload", "reload", "unload", "load"):
        shell.run_line_magic(f"{magic}_ext", "fitwatch")
        states.append(keras.callbacks.EarlyStopping.__module__ == OURS)
    fitwatch.disable()
    assert states == [True, True, True, False, False, True, False, True]
    assert keras.callbacks.EarlyStopping.__module__ == THEIRS


FIT = """
import numpy as np, time
class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training |= batch > 1000
        time.sleep(0.1)
        if batch == 1:
            print("trains", flush=True)
model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
table = keras.callbacks.CSVLogger("log.csv")
model.fit(np.ones((9999, 1)), np.ones(9999), batch_size=1, verbose=0, callbacks=[Slow(), table])
"""


def test_the_interrupt_of_a_cell(tmp_path):
    """A KeyboardInterrupt after the batch, once; the kernel and the extension go on."""
    pytest.importorskip("ipykernel")
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        outputs = []

        def heard(message):
            outputs.append(message["content"])
            if "trains" in message["content"].get("text", ""):
                manager.interrupt_kernel()

        def run(code):
            outputs.clear()
            reply = client.execute_interactive(code, timeout=120, output_hook=heard)
            return reply["content"]["status"], "".join(one.get("text", "") for one in outputs)

        assert run("%load_ext fitwatch\nimport keras") == ("ok", "")
        ended, text = run(FIT)
        assert ended == "error"
        assert [one["ename"] for one in outputs if "ename" in one] == ["KeyboardInterrupt"]
        assert text.count("fitwatch: ending after this batch") == 1
        code = "print(type(table).__module__, model.predict(np.ones((1, 1)), verbose=0).shape)"
        assert run(code) == ("ok", "fitwatch.callbacks.csv_logger (1, 1)\n")
        assert run("%unload_ext fitwatch\nprint(keras.callbacks.EarlyStopping.__module__)") == (
            "ok",
            f"{THEIRS}\n",
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
