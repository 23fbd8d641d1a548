"""`fitwatch.read` on files that are written anew, move to another run, or change meanwhile."""

import threading

import keras
import numpy as np
import pytest

import fitwatch

pytestmark = pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="once is enough")


def values(runs, run=".", tag="loss"):
    return runs[run].scalars[tag].values.tolist()


def csv(values):
    return "epoch,loss\n" + "".join(f"{epoch},{value}\n" for epoch, value in enumerate(values))


def events(folder, values):
    with fitwatch.EventFileWriter(folder) as writer:
        writer.add_series("loss", values, range(len(values)))
    return writer.path


def test_a_csv_file_that_is_longer_when_it_is_looked_at_again(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(csv([1, 2, 3]))
    runs = fitwatch.read(path)
    path.write_text(csv([10, 20, 30, 40]))
    assert runs.refresh()
    assert values(runs, "log") == [10, 20, 30, 40]
    with path.open("a") as file:
        file.write("4,50\n")
    assert runs.refresh()
    assert values(runs, "log") == [10, 20, 30, 40, 50]


def test_an_event_file_that_is_longer_when_it_is_looked_at_again(tmp_path):
    path = events(tmp_path / "run", [1, 2, 3])
    runs = fitwatch.read(tmp_path / "run")
    # In place, so that it has the same number in the file system.
    path.write_bytes(events(tmp_path / "other", [10, 20, 30, 40]).read_bytes())
    assert runs.refresh()
    assert values(runs) == [10, 20, 30, 40]


def test_a_csv_file_beside_a_folder_of_its_name_that_comes_later(tmp_path):
    (tmp_path / "log.csv").write_text(csv([1, 2]))
    runs = fitwatch.read(tmp_path)
    assert values(runs, "log") == [1, 2]
    events(tmp_path / "log", [3, 4, 5])
    assert runs.refresh()
    assert list(runs) == list(fitwatch.read(tmp_path)) == ["log", "log.csv"]
    assert values(runs, "log") == [3, 4, 5]
    assert values(runs, "log.csv") == [1, 2]
    assert not runs.refresh()


def test_segments_belong_to_the_arrays_while_another_thread_refreshes(tmp_path):
    done = threading.Event()
    with fitwatch.EventFileWriter(tmp_path) as writer:

        def restart():
            writer.add_series("loss", np.zeros(3), range(3))
            writer.flush()

        restart()
        runs = fitwatch.read(tmp_path, keep_superseded=True)

        def refresh():
            for _ in range(300):
                restart()
                runs.refresh()
            done.set()

        thread = threading.Thread(target=refresh)
        thread.start()
        while not done.is_set():
            one = runs["."].scalars["loss"]
            assert (one.segments[-1].stop, len(one.segments)) == (len(one), len(one) // 3)
            assert one.segments[-1].start == len(one) - 3
        thread.join()
