"""The server of the page: what it answers, and what it refuses."""

import gzip
import http.client
import importlib.util
import json
import random
import re
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from urllib.parse import quote, urlencode

import keras
import numpy as np
import pytest

import fitwatch
from fitwatch._view.server.local_server import LocalServer
from fitwatch._view.server.run_source import RunSource

pytestmark = pytest.mark.skipif(keras.config.backend() != "jax", reason="once is enough")

SECRET = "not for readers of the page"


@contextmanager
def serving(path, **options):
    source = RunSource(str(path))
    source.start()
    server = LocalServer(source, **options)
    server.start()
    try:
        source.wait(60)
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("view") / "logs"
    with fitwatch.EventFileWriter(folder / "a run/train") as writer:
        writer.add_series("loss", np.arange(5000) / 100, np.arange(5000), 1000.5)
        writer.add_series("odd", [1, np.nan, np.inf], range(3), 1001)
        writer.add_scalar("later", 1, 7, 1010.5)
    with fitwatch.EventFileWriter(folder / "a run/validation") as writer:
        writer.add_series("loss", [3, 4], [10, 20], 1000)
    (folder.parent / "secret.txt").write_text(SECRET)
    (folder / "link.js").symlink_to(folder.parent / "secret.txt")
    with fitwatch.EventFileWriter(folder.parent / "other logs") as writer:
        writer.add_scalar("loss", 1, 0)
    (folder / "link").symlink_to(folder.parent / "other logs")
    return folder


@pytest.fixture(scope="module")
def server(logs):
    with serving(logs) as server:
        yield server


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(server.url[7:-1], timeout=30)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer, content


def runs(server, since=None):
    answer, content = ask(server, "/data/runs" + (f"?since={since}" if since else ""))
    assert answer.status == 200
    return json.loads(content, parse_constant=pytest.fail)


def envelopes(server, **arguments):
    answer, content = ask(server, "/data/envelopes?" + urlencode(arguments, doseq=True))
    assert answer.status == 200, content
    found = []
    while content:
        length = int.from_bytes(content[:4], "little")
        found.append(content[8 : 8 + length])
        content = content[8 + length :]
    return found


def columns(envelope):
    count = int.from_bytes(envelope[:4], "little")
    numbers = np.frombuffer(envelope, "<f8", 6 * count, 8).reshape(6, count)
    names = ("x", "low", "mean", "high", "smoothed", "points")
    odd = np.frombuffer(envelope, "u1", count, 8 + 48 * count)
    return dict(zip(names, numbers, strict=True)) | {"odd": odd}


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "html"), ("/index.html", "html"), ("/index.js", "javascript"), ("/style.css", "css")],
)
def test_files(server, path, kind):
    answer, content = ask(server, path)
    assert (answer.status, answer.headers.get_content_type()) == (200, f"text/{kind}")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    compressed, short = ask(server, path, **{"Accept-Encoding": "gzip"})
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(short) == content
    again, nothing = ask(server, path, **{"If-None-Match": answer.headers["ETag"]})
    assert (again.status, nothing) == (304, b"")
    head, nothing = ask(server, path, "HEAD")
    assert (head.headers["Content-Length"], nothing) == (str(len(content)), b"")


def test_every_module_that_is_imported_is_served(server):
    asked, waiting = set(), ["main.js"]
    while waiting:
        name = waiting.pop()
        answer, content = ask(server, f"/{name}")
        assert answer.status == 200, name
        asked.add(name)
        imported = re.findall(r'^(?:import|\}) .*"\./(\w+\.js)";$', content.decode(), re.M)
        waiting += set(imported) - asked
    assert {"index.js", "chart.js", "net.js"} <= asked


def test_runs(server):
    answer = runs(server)
    assert (answer["all"], answer["removed"], answer["warnings"]) == (True, [], [])
    train, validation = answer["runs"]  # and none behind the link
    assert (train["name"], train["start"]) == ("a run/train", 1000.5)
    tags = {summary["tag"]: summary for summary in train["tags"]}
    assert tags["loss"]["points"] == 5000
    assert (tags["loss"]["first_step"], tags["loss"]["last_step"]) == (0, 4999)
    assert (tags["odd"]["last"], tags["odd"]["high"]) == ("inf", 1)
    assert (validation["name"], validation["start"]) == ("a run/validation", 1000)


def test_only_changes_are_sent(tmp_path):
    with fitwatch.EventFileWriter(tmp_path / "one") as one:
        one.add_scalar("loss", 1, 0)
    with fitwatch.EventFileWriter(tmp_path / "two") as two:
        two.add_scalar("loss", 1, 0)
        two.flush()
        with serving(tmp_path) as server:
            first = runs(server)
            assert [run["name"] for run in first["runs"]] == ["one", "two"]
            assert runs(server, first["generation"])["runs"] == []
            two.add_scalar("loss", 2, 1)
            two.flush()
            time.sleep(0.6)
            second = runs(server, first["generation"])
            assert [run["name"] for run in second["runs"]] == ["two"]
            assert not second["all"]
            assert second["runs"][0]["tags"][0]["last_step"] == 1
            strange = runs(server, 12)  # of another server
            assert (strange["all"], len(strange["runs"])) == (True, 2)


def test_envelopes(server):
    asked = ["a run/train", "gone", "a run/validation"]
    train, gone, validation = envelopes(server, tag="loss", run=asked, columns=100)
    assert gone == b""
    train, validation = columns(train), columns(validation)
    assert len(train["x"]) <= 100
    assert train["points"].sum() == 5000
    assert (train["low"].min(), train["high"].max()) == (0, np.float32(49.99))
    assert np.isnan(train["smoothed"]).all()
    assert validation["x"].tolist() == [10, 20]
    assert validation["mean"].tolist() == [3, 4]


def test_a_range_of_an_envelope(server):
    options = {"tag": "loss", "run": "a run/train", "from": 100, "to": 109}
    (exact,) = map(columns, envelopes(server, **options, halflife=2))
    assert exact["x"].tolist() == [*range(100, 110)]
    assert (exact["points"] == 1).all()
    assert np.isfinite(exact["smoothed"]).all()
    (odd,) = map(columns, envelopes(server, tag="odd", run="a run/train"))
    assert odd["odd"].tolist() == [0, 1, 2]


def test_times_from_the_start_of_the_run(server):
    options = {"tag": "later", "run": "a run/train"}
    (wall,) = map(columns, envelopes(server, **options, axis="wall"))
    (relative,) = map(columns, envelopes(server, **options, axis="relative"))
    (ranged,) = map(columns, envelopes(server, **options, axis="relative", **{"from": 9, "to": 11}))
    assert (wall["x"], relative["x"], ranged["x"]) == (1010.5, 10, 10)


GOOD = {"tag": "loss", "run": "a run/train"}


@pytest.mark.parametrize(
    "query",
    [
        "",
        "tag=loss",
        "run=x",
        *(
            urlencode(GOOD | bad)
            for bad in (
                {"axis": "time"},
                {"columns": "0"},
                {"columns": "1334"},
                {"columns": "-1"},
                {"columns": "1e2"},
                {"columns": "9" * 5000},
                {"columns": "١٢"},
                {"from": "nan"},
                {"from": "inf"},
                {"from": "1e999"},
                {"from": "1_0"},
                {"from": "5", "to": "4"},
                {"halflife": "0"},
                {"halflife": "-1"},
                {"unknown": "1"},
            )
        ),
        "tag=loss&tag=loss&run=x",
        "tag=%ff&run=x",
        "tag=loss&" + "&".join("run=x" for _ in range(101)),
        "tag=loss&" + "&".join("run=x" for _ in range(500)),
        "tag",
    ],
)
def test_bad_arguments(server, query):
    answer, content = ask(server, f"/data/envelopes?{query}")
    assert answer.status == 400
    assert re.fullmatch(rb"[^\n<]+\n", content)


@pytest.mark.parametrize("since", ["-1", "x", "1.5", "1&since=2", "9" * 30, ""])
def test_a_bad_generation(server, since):
    assert ask(server, f"/data/runs?since={since}")[0].status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONE"])
def test_nothing_is_written(server, method):
    answer, content = ask(server, "/data/runs", method)
    assert (answer.status, content) == (405, b"expected GET or HEAD\n")


def test_other_hosts_are_refused(server):
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "", "["):
        answer, content = ask(server, "/data/runs", Host=host)
        assert (answer.status, content) == (403, b"the request is for another host\n"), host
    for host in ("127.0.0.1", "localhost", "[::1]", "localhost:8080", "LOCALHOST:1"):
        assert ask(server, "/data/runs", Host=host)[0].status == 200, host
    url = "http://evil.example/data/runs"  # it counts more than the header
    assert ask(server, url, Host="localhost")[0].status == 403


def test_no_header_comes_back(server):
    for path in ("/", "/nothing", "/data/runs?x=1"):
        answer, content = ask(server, path, **{"X-Probe": "echo-me", "User-Agent": "echo-me"})
        assert "echo-me" not in f"{answer.headers}{content}"


def raw(server, request):
    """The status of a request that a browser would not send, and the content."""
    host, port = server.url[7:-1].split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert SECRET.encode() not in answer
    assert b"Traceback" not in answer
    assert b"root:" not in answer
    status = int(answer.split()[1]) if answer.startswith(b"HTTP/1.1 ") else None
    return status, answer.partition(b"\r\n\r\n")[2]


def hostile(rng):
    """A random address: folders above, links, other encodings, wrong ranges."""
    up = rng.choice(["../", "..%2f", "%2e%2e/", "..\\", "....//", "%252e%252e%252f", "./", "//"])
    targets = ["secret.txt", "link.js", "etc/passwd", "proc/self/environ", "index.js%00", "C:\\"]
    letters = [chr(rng.choice([*range(33, 127), 233, 8364])) for _ in range(rng.randrange(40))]
    path = rng.choice(
        [
            lambda: "/" + up * rng.randrange(1, 9) + rng.choice(targets),
            lambda: "/data/" + up * rng.randrange(9) + rng.choice(targets),
            lambda: "/" + quote("".join(letters), safe="/%[]:@"),
            lambda: f"/data/envelopes?{quote(''.join(letters), safe='=&%+;')}",
            lambda: "/data/envelopes?" + urlencode(GOOD | {wrong(rng): wrong(rng)}),
            lambda: "/data/runs?since=" + quote(wrong(rng)),
            lambda: "//" + "".join(letters).encode("ascii", "ignore").decode(),
            lambda: "http://localhost:x/" + rng.choice(targets),
            lambda: "/index.js/" + "a" * rng.randrange(3000),
        ]
    )()
    return path.encode("latin-1", "replace").replace(b" ", b"%20")


def wrong(rng):
    numbers = ["", "-1", "nan", "1e400", "9" * 25, "0x10", "1e5000", "--1", "1.2.3"]
    texts = ["\0", "\r\nSet-Cookie: a=b", "<script>", "é", "x", "../" * 20, "from ", "'", "run[]"]
    return rng.choice(numbers + texts)


def test_thousands_of_hostile_requests(server, capfd):
    rng = random.Random(0)
    _, page = ask(server, "/")
    for _ in range(2500):
        path = hostile(rng)
        request = b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
        status, content = raw(server, request)
        assert status is not None, path
        # `//?x` is the page, too.
        assert 400 <= status < 500 or (status == 200 and content == page), path
    for _ in range(500):
        request = bytes(rng.choice(b"GET /:\r\n %\x00\xff<") for _ in range(rng.randrange(200)))
        status, _ = raw(server, request)
        assert status is None or 400 <= status < 600, request
    assert runs(server)["runs"]
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")


def test_a_folder_that_is_still_empty(tmp_path, monkeypatch):
    from fitwatch._view.server import run_source

    monkeypatch.setattr(run_source, "RETRY_SECONDS", 0)
    source = RunSource(str(tmp_path))
    source.start()
    with pytest.raises(ValueError, match=re.escape(str(tmp_path))):
        source.wait(30)
    assert json.loads(source.answer(None))["warnings"]
    with fitwatch.EventFileWriter(tmp_path) as writer:
        writer.add_scalar("loss", 1, 0)
    end = time.monotonic() + 30
    while not source.runs and time.monotonic() < end:
        source.answer(None)
        time.sleep(0.05)
    answer = json.loads(source.answer(None))
    assert ([run["name"] for run in answer["runs"]], answer["warnings"]) == (["."], [])


def command(*arguments):
    return [sys.executable, "-m", "fitwatch", "view", *map(str, arguments)]


def test_the_command_names_what_it_did_not_find(tmp_path):
    for path in (tmp_path / "no such folder", tmp_path):
        done = subprocess.run(command(path), capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert done.stderr.startswith(f"python -m fitwatch view: {path}: ")
        assert done.stdout == ""


def test_the_command_says_that_a_port_is_taken(logs, server):
    port = server.url.rpartition(":")[2].strip("/")
    done = subprocess.run(command(logs, "--port", port), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.endswith(
        f"cannot listen at 127.0.0.1, port {port}: Address already in use\n"
    )


def test_the_command_says_that_it_has_no_such_address(logs):
    host = "192.0.2.77"  # for documentation: no computer has it
    done = subprocess.run(command(logs, "--host", host), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"cannot listen at {host}, port 6007: " in done.stderr
    assert "while" not in done.stderr


def test_the_command_serves(logs):
    with subprocess.Popen(
        command(logs, "--port", 0, "--host", "0.0.0.0"), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            address = re.search(r"http://(127\.0\.0\.1:\d+)/", process.stdout.readline())
            assert "other computers can read these runs" in process.stdout.readline()
            connection = http.client.HTTPConnection(address[1], timeout=30)
            connection.request("GET", "/", headers={"Host": "evil.example"})
            assert connection.getresponse().status == 403
        finally:
            process.send_signal(2)
            assert process.wait(30) == 0


def test_in_a_notebook(logs):
    view = fitwatch.view(logs)
    assert fitwatch.view(logs) is view
    html = view._repr_html_()
    assert html.startswith("<iframe")
    assert f'src="{view.url}"' in html
    assert view.url.startswith("http://127.0.0.1:")
    connection = http.client.HTTPConnection(view.url[7:-1], timeout=30)
    connection.request("GET", "/data/runs")
    assert connection.getresponse().status == 200
    view.close()
    assert fitwatch.view(logs) is not view
    fitwatch.view(logs).close()
    with pytest.raises(FileNotFoundError):
        fitwatch.view(logs / "nothing")


def test_in_a_notebook_without_werkzeug(logs, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "werkzeug" else found(name)
    )
    with pytest.raises(
        ImportError, match=r"view\(\) needs werkzeug: pip install 'fitwatch\[view\]'"
    ):
        fitwatch.view(logs)
