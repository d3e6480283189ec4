"""What comes over a real socket: clients that are slow, endless, or speak no HTTP keep nobody waiting."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from experiments.storefront import gate, slow_clients
from experiments.storefront.app import create_app
from experiments.storefront.gate import service_log

from .web import serving


@pytest.fixture
def service(shop: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The service on a port, that waits a second for a head and half of one for a body."""
    monkeypatch.setattr(slow_clients, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(slow_clients, "READ_SECONDS", 0.5)
    monkeypatch.setattr(gate, "BODY_SECONDS", 0.5)
    at: dict[str, Any] = {"key": shop.key()}

    def make(url: str) -> Any:
        at.update(url=url, address=(urlsplit(url).hostname, urlsplit(url).port))
        return create_app(shop.engine, log=service_log("critical"))

    with serving(make):
        yield SimpleNamespace(**at)


def sent(service: Any, *parts: bytes, pause: float = 0.0, seconds: float = 5.0) -> bytes:
    """All that comes back until the service closes the connection; what is sent comes in parts."""
    with closing(socket.create_connection(service.address)) as wire:
        wire.settimeout(seconds)
        for part in parts:
            try:
                wire.sendall(part)
            except OSError:
                break  # it was closed
            time.sleep(pause)
        found = b""
        try:
            while more := wire.recv(65_536):
                found += more
        except ConnectionResetError:
            pass
        return found


def head(service: Any, *lines: str, path: str = "/v1/reward") -> bytes:
    """The head of a request with a key that holds."""
    every = [f"POST {path} HTTP/1.1", "Host: shop", f"Authorization: {service.key['Authorization']}",
             "Content-Type: application/json", *lines]  # fmt: skip
    return ("\r\n".join(every) + "\r\n\r\n").encode()


def well(service: Any) -> None:
    """The service answers, and soon."""
    began = time.monotonic()
    body = {"event_id": str(time.time_ns()), "slot": "hero"}
    said = httpx.post(f"{service.url}/v1/decide", json=body, headers=service.key, trust_env=False)
    assert (said.status_code, said.json()["reason"] in ("bandit", "holdout")) == (200, True)
    assert time.monotonic() - began < 5


def test_many_clients_that_send_a_byte_at_a_time_keep_nobody_waiting_and_are_cut_off(service):
    slow = [socket.create_connection(service.address) for _ in range(200)]
    for number, wire in enumerate(slow):
        wire.sendall(head(service)[: 1 + number // 2])
    well(service)
    for wire in slow[::10]:
        wire.settimeout(5)
        with suppress(ConnectionResetError):  # as the system says it where a byte came after the end
            assert (wire.recv(1000) or b"HTTP/1.1 408 ").startswith(b"HTTP/1.1 408 ")
            assert wire.recv(1000) == b""  # it is closed
    for wire in slow:
        wire.close()


@pytest.mark.parametrize(
    "first", [[], [b"GET /health HTTP/1.1\r\nHost: shop\r\n\r\n"]], ids=["at-once", "after-another"]
)
def test_a_head_that_comes_byte_by_byte_is_not_waited_for(service, first):
    began = time.monotonic()
    said = sent(service, *first, b"GET /", *[b"a"] * 20, pause=0.1)
    assert said.split(b"\r\n")[0] in (b"HTTP/1.1 200 OK", b"HTTP/1.1 408 Request Timeout")
    assert said.endswith(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert time.monotonic() - began < 4
    well(service)


def test_a_connection_on_which_nothing_is_said_is_closed(service):
    assert sent(service) == b""


def test_a_head_without_end_is_cut_off(service):
    said = sent(service, b"GET /health HTTP/1.1\r\n", *([b"X-Word: " + b"x" * 8000 + b"\r\n"] * 40))
    assert said == b"" or said.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    well(service)


@pytest.mark.parametrize("lines", [["Content-Length: 1000"], ["Transfer-Encoding: chunked"]], ids=["length", "chunks"])
def test_a_body_that_does_not_end_is_not_waited_for(service, lines):
    """A byte every tenth of a second; the answer is a problem, and the connection ends."""
    part = b"{" if "Length" in lines[0] else b"1\r\n{\r\n"
    said = sent(service, head(service, *lines), *[part] * 12, pause=0.1)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in said
    assert b"\r\nconnection: close\r\n" in said.lower()
    well(service)


def test_chunks_without_end_are_cut_off_at_the_limit(service):
    chunk = b"fffff\r\n" + b" " * 0xFFFFF + b"\r\n"
    said = sent(service, head(service, "Transfer-Encoding: chunked"), *[chunk] * 20)
    assert said == b"" or said.startswith(b"HTTP/1.1 413 ")
    well(service)


@pytest.mark.parametrize("wrong", [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET /health HTTP/9.9\r\n\r\n", b"\0" * 100,
    b"GET /\xff\xfe HTTP/1.1\r\nHost: shop\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: shop\r\nBad header: x\r\n\r\n",
    b"POST /v1/decide HTTP/1.1\r\nHost: shop\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/decide HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{}",
    b"POST /v1/decide HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/decide HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: shop\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\n\r\n",
], ids=range(12))  # fmt: skip
def test_what_is_no_http_is_refused(service, wrong):
    said = sent(service, wrong)
    assert not said or said.startswith((b"HTTP/1.1 4", b"HTTP/1.1 200 "))
    well(service)


def test_a_head_cannot_add_a_header_to_the_answer(service):
    line = "X-Request-ID: a%0d%0aSet-Cookie: b=c"
    said = sent(service, f"GET /health HTTP/1.1\r\nHost: shop\r\n{line}\r\nConnection: close\r\n\r\n".encode())
    assert b"set-cookie" not in said.lower()
    assert b"\r\nx-request-id: " in said


def test_who_does_not_read_the_answer_is_cut_off(service, shop):
    """An answer that is larger than what the system buffers, asked for and left alone."""
    for number in range(40):
        httpx.post(f"{service.url}/v1/texts", json={"slot": "hero", "text": f"{number} " + "x" * 1900},
                   headers=service.key, trust_env=False)  # fmt: skip
    ask = f"GET /v1/texts?slot=hero HTTP/1.1\r\nHost: shop\r\nAuthorization: {service.key['Authorization']}\r\n\r\n"
    with closing(socket.socket()) as wire:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        wire.connect(service.address)
        wire.sendall(ask.encode() * 200)
        time.sleep(1.2)
        found = 0
        wire.settimeout(5)
        try:
            while more := wire.recv(65_536):
                found += len(more)
        except ConnectionResetError:
            pass
    assert found < 200 * 80_000
    well(service)


DEEP = b'{"event_id": "e", "slot": "hero", "context": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001


@pytest.mark.parametrize(("path", "body"), [
    ("/v1/decide", DEEP), ("/v1/events", DEEP.replace(b'{"ev', b'{"type": "decide", "ev', 1)),
    ("/personalizer/v1.0/rank", b'{"actions": [{"id": "a", "features": ' + b"[" * 50_000 + b"]" * 50_000 + b"}]}"),
    ("/personalizer/v1.0/rank", b'{"contextFeatures": [{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}]}"),
    ("/v1/slots/hero/settings", b'{"reason": "x", "changes": {"mode": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}"),
])  # fmt: skip
def test_json_that_is_too_deep_is_refused(service, path, body):
    said = httpx.post(service.url + path, content=body, headers={**service.key, "Content-Type": "application/json"},
                      trust_env=False)  # fmt: skip
    status = said.json()["results"][0]["status"] if path.endswith("events") else said.status_code
    assert status in (400, 422)
    well(service)


def test_of_two_fields_of_one_name_the_last_counts_everywhere(service):
    """JSON leaves it open; here both readers of it agree."""
    body = '{"event_id": "a", "event_id": "b", "slot": "hero"}'
    typed = {**service.key, "Content-Type": "application/json"}
    one = httpx.post(f"{service.url}/v1/decide", content=body, headers=typed, trust_env=False).json()
    line = '{"type": "decide", ' + body[1:]
    many = httpx.post(f"{service.url}/v1/events", content=line, headers=typed, trust_env=False).json()
    assert json.loads(body)["event_id"] == one["event_id"] == many["results"][0]["decision"]["event_id"] == "b"
