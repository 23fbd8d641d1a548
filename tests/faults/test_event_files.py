"""Processes that are killed while they write events, and readers of the live files.

`FITWATCH_KILLS` is how often each is done: a few times in CI, more in `make faults`.
"""

import os
import random
import signal
import statistics
import struct
import subprocess
import sys
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import fitwatch

KILLS = int(os.environ.get("FITWATCH_KILLS", "5"))

# Writes the time as the value's time with every step, and tells how far it is.
WRITES = """
import sys, time, fitwatch
writer = fitwatch.EventFileWriter(sys.argv[1])
print(writer.path, flush=True)
step = 0
while True:
    writer.add_scalar("loss", 1.0, step, time.time())
    step += 1
    if step % 50 == 0:
        time.sleep(0.001)
"""


def whole_events(path):
    """The events of a file, by the framing alone, and how many bytes of the file they are not.

    EventAccumulator would skip broken records at the end of a file.
    """
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    data = path.read_bytes()
    events, at = [], 0
    while at + 12 <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        end = at + 12 + length + 4
        if end > len(data):
            break
        payload = data[at + 12 : end - 4]
        assert struct.unpack_from("<I", data, at + 8)[0] == masked_crc32c(data[at : at + 8])
        assert struct.unpack_from("<I", data, end - 4)[0] == masked_crc32c(payload)
        events.append(Event.FromString(payload))
        at = end
    return events, len(data) - at


def test_a_killed_process_loses_a_tenth_of_a_second(tmp_path):
    random.seed(0)
    lost = []
    for kill in range(KILLS):
        folder = tmp_path / str(kill)
        with subprocess.Popen(
            [sys.executable, "-c", WRITES, str(folder)], stdout=subprocess.PIPE, text=True
        ) as process:
            process.stdout.readline()
            time.sleep(0.3 + random.random() / 2)
            killed_at = time.time()
            process.send_signal(signal.SIGKILL)
        (path,) = folder.iterdir()
        events, rest = whole_events(path)
        assert rest == 0
        assert [event.step for event in events[1:]] == list(range(len(events) - 1))
        lost.append(killed_at - events[-1].wall_time)
    # A machine may be busy with other things for a while.
    assert statistics.median(lost) < 0.1 + 0.2


def test_a_reader_of_a_live_file_sees_every_record(tmp_path):
    """No record is late, duplicated or broken, however fast the file grows."""
    writer = fitwatch.EventFileWriter(tmp_path)
    follower = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    step, seen = 0, [0]
    deadline = time.monotonic() + 0.4 * KILLS
    while time.monotonic() < deadline or len(set(seen)) < 4:
        for _ in range(2000):
            writer.add_scalar("loss", 1.0, step)
            step += 1
        events, rest = whole_events(writer.path)
        assert [event.step for event in events[1:]] == list(range(len(events) - 1))
        # A large write may be seen in part; then what is there is the beginning of a record.
        assert rest < 200
        follower.Reload()
        if "loss" in follower.Tags()["tensors"]:
            seen.append(len(follower.Tensors("loss")))
    writer.close()
    follower.Reload()
    assert [event.step for event in follower.Tensors("loss")] == list(range(step))
