"""Spans for OpenTelemetry, where somebody listens; else nothing, at no cost.

A request's span is FastAPI's own, which takes up a caller's ``traceparent``; what the log says of the request is put on
it. The steps of a worker are spans too. `export` sends them where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from copyloom import InputError

trace: Any = None
with suppress(ImportError):  # FastAPI brings it; who uses no service may lack it
    trace = importlib.import_module("opentelemetry.trace")

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def span(name: str, **facts: str | int) -> AbstractContextManager[Any]:
    """Return a span of what is done in it, a child of the one around it, with facts about it."""
    if trace is None or isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):  # nobody listens
        return nullcontext()
    found: AbstractContextManager[Any] = trace.get_tracer("copyloom").start_as_current_span(
        f"copyloom.{name}", attributes=_named(facts)
    )
    return found


def tell(facts: Mapping[str, Any]) -> None:
    """Put facts on the span that this is done in."""
    if trace is not None and (current := trace.get_current_span()).is_recording():
        current.set_attributes(_named(facts))


def export(service: str) -> None:
    """Send spans from now on, where the environment says where to: OpenTelemetry's own variables.

    Raises
    ------
    InputError
        If it says so, and what sends them is not installed.
    """
    if not any(map(os.environ.get, _ENDPOINTS)) or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise InputError(
            f"{' or '.join(_ENDPOINTS)} is set, but {error.name} is not installed; install it with: pip install "
            "'copyloom[otel]', or unset it"
        ) from None
    named = os.environ.get("OTEL_SERVICE_NAME", service)
    provider = TracerProvider(resource=Resource.create({"service.name": named}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def _named(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {f"copyloom.{name}": value for name, value in facts.items()}
