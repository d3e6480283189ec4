"""Spans: what a request was about, under the caller's trace; the steps of a worker; and where they are sent."""

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from copyloom import InputError
from experiments.storefront.config import SlotSettings
from experiments.storefront.tracing import export, span, tell
from experiments.storefront.worker import Worker

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch):
    """What was traced, by the SDK's own exporter."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)  # the global one can be set once only
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    return exporter


def of(span):
    return {name.removeprefix("copyloom."): value for name, value in span.attributes.items()
            if name.startswith("copyloom.")}  # fmt: skip


def test_a_request_is_a_span_of_its_caller_s_trace_with_what_it_was_about(shop, spans):
    key = {**shop.key(), "traceparent": PARENT, "X-Request-ID": "r1"}
    said = shop.client.post("/v1/decide", json={"event_id": "e", "slot": "hero", "unit_id": "anna@example.org"},
                            headers=key).json()  # fmt: skip
    shop.client.post("/v1/expose", json={"event_id": "e"}, headers=key)
    shop.client.post("/v1/reward", json={"event_id": "e", "reward_id": "r", "value": 1}, headers=key)
    shop.client.post("/v1/events", content='{"type": "expose", "event_id": "e"}', headers=key)
    found = {span.name: span for span in spans.get_finished_spans() if not span.name.startswith("copyloom.")}
    assert list(found) == [f"POST /v1/{what}" for what in ("decide", "expose", "reward", "events")]
    for request in found.values():
        assert f"{request.context.trace_id:032x}" == PARENT.split("-")[1]
        assert f"{request.parent.span_id:016x}" == PARENT.split("-")[2]
        assert of(request)["request_id"] == "r1"
    facts = of(found["POST /v1/decide"])
    assert {"event_id": "e", "slot": "hero", "snapshot_id": 0, "reason": said["reason"]}.items() <= facts.items()
    assert of(found["POST /v1/expose"])["event_id"] == "e"
    assert of(found["POST /v1/reward"])["state"] == "joined"
    assert of(found["POST /v1/events"])["lines"] == 1
    records = [span for span in spans.get_finished_spans() if span.name == "copyloom.record"]
    assert [span.parent.span_id for span in records] == [span.context.span_id for span in found.values()]
    assert "anna" not in "".join(span.to_json() for span in spans.get_finished_spans())


def test_the_steps_of_a_worker_are_spans(make_shop, tmp_path, clock, spans):
    shop = make_shop(str(tmp_path / "shop.db"), settings=SlotSettings(holdout=0))
    shop.client.post("/v1/decide", json={"event_id": "e", "slot": "hero"}, headers=shop.key())
    spans.clear()
    clock.turn(1806)
    Worker(shop.engine, clock=clock, write=False).round()
    close, work = spans.get_finished_spans()
    assert (close.name, of(close)) == ("copyloom.close", {"outcomes": 1})
    assert (work.name, of(work)) == ("copyloom.work", {"tenant": "default", "slot": "hero"})
    assert close.parent.span_id == work.context.span_id


def test_where_nobody_listens_nothing_is_done(monkeypatch):
    with span("work", slot="hero"):
        tell({"outcomes": 1})
    monkeypatch.setattr("experiments.storefront.tracing.trace", None)
    with span("work", slot="hero"):
        tell({"outcomes": 1})


def test_spans_are_sent_where_the_environment_says(monkeypatch):
    came = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            came.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = ("from experiments.storefront.tracing import export, span; export('a worker')\n"
            "with span('work', slot='hero'): pass")  # fmt: skip
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    server.shutdown()
    ((path, body),) = came
    assert path == "/v1/traces"
    assert all(word in body for word in (b"a worker", b"copyloom.work", b"hero"))


def test_without_the_extra_it_says_how_to_install_it(monkeypatch):
    export("nobody asked for it")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(InputError, match=r"pip install 'copyloom\[otel\]'"):
        export("copyloom serve")
