"""A server on loopback that answers as much of Weights & Biases as one run needs, also resumed."""

import gzip
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NAME, ENTITY, PROJECT = "one", {"id": "e", "name": "us"}, {"id": "p", "name": "test"}


@contextmanager
def serve():
    """A server, while it is needed.

    Its `history` has the rows of the run as JSON texts, `url` its address.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.history, server.summary, server.config = [], "{}", None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer({})

    def do_PUT(self):
        self._body()
        self._answer({})

    def do_POST(self):
        body = self._body()
        if self.path.endswith("/file_stream"):
            self._store(json.loads(body).get("files") or {})
            self._answer({"exitcode": None, "limits": {}})
        elif self.path == "/graphql":
            asked = json.loads(body)
            self._answer({"data": self._data(asked["query"], asked.get("variables") or {})})
        else:  # statistics about wandb itself
            self._answer({})

    def _body(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body

    def _answer(self, value):
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _store(self, files):
        for name, part in files.items():
            if name == "wandb-history.jsonl":
                self.server.history[part["offset"] :] = part["content"]
            elif name == "wandb-summary.json":
                self.server.summary = part["content"][-1]

    def _data(self, query, variables):
        server = self.server
        if "upsertBucket" in query:
            is_new = server.config is None
            server.config = variables.get("config") or server.config or "{}"
            bucket = {"id": "run", "name": NAME, "displayName": NAME, "config": "{}"}
            bucket |= {"historyLineCount": 0, "project": PROJECT | {"entity": ENTITY}}
            return {"upsertBucket": {"bucket": bucket, "inserted": is_new}}
        if "query RunResumeStatus" in query:
            bucket = {
                "id": "run",
                "name": NAME,
                "displayName": NAME,
                "tags": [],
                "summaryMetrics": server.summary,
                "historyLineCount": len(server.history),
                "historyTail": json.dumps(server.history[-1:]),
                "eventsLineCount": 0,
                "eventsTail": "[]",
                "logLineCount": 0,
                "config": server.config,
                "wandbConfig": '{"t": 1}',
            }
            there = {} if server.config is None else {"bucket": bucket}
            return {"model": PROJECT | {"entity": ENTITY} | there}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": server.url} for name in variables["files"]]
            return {"createRunFiles": {"runID": "run", "uploadHeaders": [], "files": files}}
        if "query Viewer" in query:
            return {"viewer": {"id": "v", "entity": ENTITY["name"], "username": "us"}}
        return {}
