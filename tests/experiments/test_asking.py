"""Language models that are asked: an endpoint on this machine that speaks OpenAI's protocol, and what is kept of it."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from copyloom import InputError
from experiments.asking import AskedOnce, Endpoint, LocalModel

pytest.importorskip("openai", reason="the extra prompted is not installed")


class Server(HTTPServer):
    """Answers like a model that gives one choice at a time, whatever it is asked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.status, self.failures, self.seconds = 200, 0, 0.0
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append({"path": self.path, **body})
        self.server.keys.append(self.headers["Authorization"])
        time.sleep(self.server.seconds)
        if self.server.failures:
            self.server.failures -= 1
            self.send_response(503)
            self.send_header("retry-after-ms", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        text = f"Buy the knife number {len(self.server.asked)}."
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        said = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice]}
        whole = json.dumps(said if self.server.status == 200 else {"error": {"message": "no such key"}}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a free port of this machine."""
    found = Server()
    thread = Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def endpoint(server: Server) -> Endpoint:
    return Endpoint("writer-1", f"http://127.0.0.1:{server.server_port}/v1")


def test_an_endpoint_that_gives_few_answers_is_asked_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key")
    assert endpoint(server).answers("Sell it.", 3, 7) == [f"Buy the knife number {n}." for n in (1, 2, 3)]
    first, *_ = server.asked
    assert (first["path"], first["model"], first["n"]) == ("/v1/chat/completions", "writer-1", 3)
    assert first["messages"] == [{"role": "user", "content": "Sell it."}]
    assert len({one["seed"] for one in server.asked}) == 3
    assert set(server.keys) == {"Bearer a-key"}


def test_no_question_is_asked_a_second_time(server: Server, tmp_path: Path) -> None:
    once = AskedOnce(endpoint(server), tmp_path)
    said = once.answers("Sell it.", 2, 0)
    assert AskedOnce(endpoint(server), tmp_path).answers("Sell it.", 2, 0) == said
    assert len(server.asked) == 2
    assert once.answers("Sell it.", 2, 1) != said  # another seed is another question
    assert not any("key" in file.read_text().lower().replace("knife", "") for file in tmp_path.iterdir())


def test_an_endpoint_that_refuses_is_named(server: Server) -> None:
    server.status = 401
    with pytest.raises(InputError, match=r"writer-1 does not answer .*no such key.*OPENAI_API_KEY"):
        endpoint(server).answers("Sell it.", 1, 0)


def test_an_endpoint_that_fails_is_asked_again_so_many_times(server: Server) -> None:
    server.failures = 2
    assert endpoint(server).answers("Sell it.", 1, 0) == ["Buy the knife number 3."]
    server.failures = 2
    with pytest.raises(InputError, match=r"writer-1 does not answer .*503"):
        replace(endpoint(server), retries=1).answers("Sell it.", 1, 0)


def test_an_endpoint_that_is_slow_is_not_waited_for(server: Server) -> None:
    server.seconds = 0.5
    with pytest.raises(InputError, match=r"writer-1 does not answer .*timed out"):
        replace(endpoint(server), retries=0, timeout_seconds=0.1).answers("Sell it.", 1, 0)


def test_a_local_model_answers_alike_for_a_seed_whatever_was_asked_before() -> None:
    model = LocalModel("copyloom-tiny", "cpu")
    first = model.answers("Buy this knife.", 3, 5)
    model.answers("Another question.", 2, 6)
    assert model.answers("Buy this knife.", 3, 5) == first
    assert len(first) == 3
    assert model.answers("Buy this knife.", 3, 6) != first
