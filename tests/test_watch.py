"""`python -m fitwatch watch`: one frame into a pipe, and the live view in tmux."""

import contextlib
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import fitwatch

pytestmark = [
    pytest.mark.skipif(keras.config.backend() != "jax", reason="the same on every backend"),
    pytest.mark.skipif(sys.platform == "win32", reason="terminals of Unix"),
]
in_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is missing")

WATCH = [sys.executable, "-m", "fitwatch", "watch"]
PLAIN = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}


def write(folder, points=20_000, first=0, tag="batch_loss"):
    steps = np.arange(first, first + points)
    values = 0.5 + np.random.default_rng(first).random(points)
    if not first:
        values[points * 2 // 3] = 9.0
    with fitwatch.EventFileWriter(folder) as writer:
        writer.add_series(tag, values, steps)


@pytest.fixture
def logs(tmp_path):
    write(tmp_path / "logs" / "train")
    write(tmp_path / "logs" / "validation", 50, tag="epoch_loss")
    return tmp_path / "logs"


def once(*arguments, **variables):
    return subprocess.run(
        [*WATCH, "--once", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=PLAIN | variables,
        timeout=60,
    )


def test_one_frame_into_a_pipe(logs):
    done = once(logs)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    lines = done.stdout.split("\n")
    assert len(lines) == 24 + 1
    assert lines[-1] == ""
    assert max(map(len, lines)) <= 80
    assert lines[0].endswith("2 runs · 20,050 points")
    assert "▸ batch_loss" in done.stdout
    assert "  epoch_loss" in done.stdout
    # One value of 20,000 is a column of dots at two thirds of the chart.
    (before,) = re.search(r"8 ┤( *)[⡇⢸]$", done.stdout, re.MULTILINE).groups()
    assert 46 <= len(before) <= 48


def test_the_size_of_the_frame(logs):
    assert len(once(logs, "--height", 40).stdout.splitlines()) == 40
    frame = once(logs, COLUMNS="120", LINES="30").stdout.splitlines()
    assert len(frame) == 30
    assert 100 < max(map(len, frame)) <= 120
    assert "logs  log  " in once(logs, "--log", "--width", 150).stdout
    assert "batch_loss" not in once(logs, "--tags", "^epoch").stdout


def test_neither_keras_nor_numpy_is_imported(logs):
    code = (
        "import sys; from fitwatch.__main__ import main\n"
        f"main(['watch', {str(logs)!r}, '--once'])\n"
        "sys.exit(sorted({'keras', 'numpy'} & set(sys.modules)) != [])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_errors(logs, tmp_path):
    def problem(*arguments):
        done = once(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.startswith("python -m fitwatch watch: ")
        return done.stderr

    assert "No such file or directory" in problem(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    assert "nothing to read" in problem(tmp_path / "empty")
    assert "not a regular expression" in problem(logs, "--tags", "(")
    (tmp_path / "notes.txt").write_text("not a run\n" * 10)
    assert "notes.txt" in problem(tmp_path / "notes.txt")
    done = subprocess.run([*WATCH, logs], capture_output=True, text=True)
    assert done.returncode == 2
    assert "not a terminal; --once prints one frame" in done.stderr
    done = subprocess.run([*WATCH, logs, "--width", "80"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "--width and --height are for --once" in done.stderr


def test_a_reader_that_goes_away_is_no_error(logs):
    command = [*WATCH, "--once", str(logs)]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


class Tmux:
    """A terminal of its own with a script in it."""

    def __init__(self, folder, script, **variables):
        self.socket = str(folder / "tmux")
        environment = "".join(f"{name}={value} " for name, value in variables.items())
        python = f"PYTHONPATH={os.pathsep.join(filter(None, sys.path))} {sys.executable}"
        script = script.replace("WATCH", f"{environment}{python} -m fitwatch watch")
        (folder / "script").write_text(script)
        size = ["-x", "100", "-y", "30"]
        shell = f"sh {folder / 'script'}"
        self.run("-f", os.devnull, "new-session", "-d", *size, shell)

    def run(self, *arguments):
        command = ["tmux", "-S", self.socket, *map(str, arguments)]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20
        ).stdout

    def frame(self, *options):
        return self.run("capture-pane", "-p", *options)

    def keys(self, *keys):
        self.run("send-keys", *keys)

    def until(self, condition):
        """Waits for a frame; a text is a part of it."""
        wanted = (lambda frame: condition in frame) if isinstance(condition, str) else condition
        end = time.monotonic() + 20
        while not wanted(frame := self.frame()):
            assert time.monotonic() < end, f"{condition} has not come:\n{frame}"
            time.sleep(0.02)
        return frame


@pytest.fixture
def tmux(tmp_path):
    terminals = []

    def start(script, **variables):
        terminals.append(Tmux(tmp_path, script, **variables))
        return terminals[-1]

    yield start
    for terminal in terminals:
        with contextlib.suppress(subprocess.CalledProcessError):  # its last session has ended
            terminal.run("kill-server")


@in_tmux
def test_keys_growth_and_resizing(logs, tmux):
    terminal = tmux(f"WATCH {logs}; sleep 60", NO_COLOR=1)
    first = terminal.until("20,050 points")
    assert "▸ batch_loss" in first
    assert "  epoch_loss" in first
    charts = first.splitlines()[2:-1]

    def is_first(frame):
        return frame.splitlines()[2:-1] == charts

    for key, mark in {"L": "/logs  log ", "s": "/logs  smoothed ", "+": "19k"}.items():
        terminal.keys(key)
        terminal.until(mark)
        terminal.keys({"+": "0"}.get(key, key))
        terminal.until(is_first)
    terminal.keys("Down")
    terminal.until("▸ epoch_loss")
    terminal.keys("Up", "Enter")
    assert "9.000 at 13,333" in terminal.until("highest")
    terminal.keys("Enter")
    terminal.until(is_first)
    terminal.keys("?")
    terminal.until("logarithmic scale on, off")
    terminal.keys("q")
    terminal.until(is_first)
    terminal.keys("r", "Space", "Escape")
    terminal.until(lambda frame: "batch_loss" not in frame)
    terminal.keys("r", "a", "q")
    terminal.until(is_first)
    terminal.keys("/", "epoch", "Enter")
    terminal.until(lambda frame: "batch_loss" not in frame and "/epoch" in frame)
    terminal.keys("/", "C-u", "Enter")
    terminal.until(is_first)

    terminal.run("resize-window", "-x", "40", "-y", "12")
    small = terminal.until(lambda frame: len(frame.splitlines()) == 12 and "? help" in frame)
    assert "epoch_loss" not in small
    terminal.run("resize-window", "-x", "100", "-y", "30")
    terminal.until(is_first)

    write(logs / "train", 5000, first=20_000)
    terminal.until("25,050 points")
    write(logs / "later", 100)
    grown = terminal.until("25,150 points")
    assert "3 runs" in grown
    assert "━ later" in grown


@in_tmux
def test_an_empty_folder_is_waited_for(tmp_path, tmux):
    (tmp_path / "logs").mkdir()
    terminal = tmux(f"WATCH {tmp_path / 'logs'}; sleep 60")
    terminal.until("waiting for event files")
    write(tmp_path / "logs" / "train", 100)
    terminal.until("▸ batch_loss")


# The modes of the terminal before and after, and the exit status.
AROUND = (
    "before=$(stty -g); WATCH {}; echo status $?; test $before = $(stty -g) && echo same; sleep 60"
)


@in_tmux
@pytest.mark.parametrize(("end", "status"), [("q", 0), ("C-c", 130), ("TERM", 143), ("INT", 130)])
def test_the_terminal_is_restored(logs, tmux, end, status):
    terminal = tmux(AROUND.format(logs))
    terminal.until("▸ batch_loss")
    assert terminal.run("display-message", "-p", "#{alternate_on}#{cursor_flag}") == "10\n"
    if end in ("TERM", "INT"):
        shell = terminal.run("display-message", "-p", "#{pane_pid}").strip()
        subprocess.run(["pkill", f"-{end}", "-P", shell], check=True)
    else:
        terminal.keys(end)
    frame = terminal.until("same")
    assert f"status {status}\n" in frame
    assert "batch_loss" not in frame
    assert terminal.run("display-message", "-p", "#{alternate_on}#{cursor_flag}") == "01\n"


@in_tmux
def test_it_ends_with_its_terminal(logs, tmux):
    terminal = tmux(f"WATCH {logs}; sleep 60")
    terminal.until("▸ batch_loss")
    terminal.run("kill-session")
    end = time.monotonic() + 10
    while not subprocess.run(
        ["pgrep", "-f", f"fitwatch watch {logs}"], capture_output=True
    ).returncode:
        assert time.monotonic() < end
        time.sleep(0.05)


@in_tmux
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is missing")
def test_ctrl_z_stops_and_fg_goes_on(logs, tmux):
    terminal = tmux("exec bash --norc --noprofile -i", PS1="%")
    command = f"{sys.executable} -m fitwatch watch {logs}"
    terminal.keys(f"PYTHONPATH={os.pathsep.join(filter(None, sys.path))} {command}", "Enter")
    terminal.until("▸ batch_loss")
    terminal.keys("C-z")
    assert "▸ batch_loss" not in terminal.until("Stopped")
    terminal.keys("fg", "Enter")
    terminal.until("▸ batch_loss")
    terminal.keys("q")
    terminal.until(lambda frame: "▸ batch_loss" not in frame)


@in_tmux
def test_colours(logs, tmux):
    terminal = tmux(f"WATCH {logs}; sleep 60", COLORTERM="")
    terminal.run("set-option", "-g", "default-terminal", "tmux-256color")
    terminal.until("▸ batch_loss")
    assert "\x1b[38;5;" in terminal.frame("-e")


@pytest.fixture
def in_pty(logs):
    """The view in a terminal without tmux: its process, and the other side of the terminal."""
    reading, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = PLAIN | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    watch = subprocess.Popen([*WATCH, str(logs)], stdin=terminal, stdout=terminal, env=environment)
    os.close(terminal)
    yield watch, reading
    watch.terminate()
    watch.wait(20)


def test_it_ends_when_the_terminal_hangs_up(in_pty):
    """A lost connection, with SIGHUP ignored or not sent."""
    watch, reading = in_pty
    assert os.read(reading, 1)
    os.close(reading)
    assert watch.wait(20) != 0


def test_a_slow_line_gets_little(logs, in_pty):
    """Data that grow without pause: some KB a second after the first frame."""
    reading = in_pty[1]
    seen = SimpleNamespace(bytes=0)

    def read(until):
        while (left := until - time.monotonic()) > 0:
            if select.select([reading], [], [], left)[0]:
                seen.bytes += len(os.read(reading, 1 << 16))

    with fitwatch.EventFileWriter(logs / "train") as writer:
        step = 20_000
        while seen.bytes < 2000:
            read(time.monotonic() + 0.1)
        read(time.monotonic() + 0.3)
        first, seen.bytes, begin = seen.bytes, 0, time.monotonic()
        for _ in range(25):
            writer.add_series("batch_loss", np.random.rand(500), range(step, step + 500))
            step += 500
            read(time.monotonic() + 0.1)
    rate = seen.bytes / (time.monotonic() - begin)
    os.close(reading)
    assert first < 16_000
    assert 100 < rate < 6000
