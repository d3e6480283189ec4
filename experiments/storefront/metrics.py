"""What Prometheus is told: nothing in it names a tenant, a text or a person."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """Counters of one service process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.decisions = self._counter("decisions", "Texts that events were given, by reason.", "reason")
        self.fallbacks = self._counter("fallbacks", "Baselines shown because a decision was not recorded.", "why")
        self.exposures = self._counter("exposures", "Exposures that were recorded.")
        self.rewards = self._counter("rewards", "Rewards that were recorded, by what became of them.", "state")
        self.unavailable = self._counter("unavailable", "Requests that could not be recorded: answered by 503.")
        self.clock_jumps = self._counter("clock_jumps", "How often the clock of this machine jumped.")
        self.requests = self._counter("requests", "Requests, by route and status.", "route", "status")
        self.seconds = Histogram(
            "copyloom_request_seconds", "How long requests took, by route.", ("route",), buckets=_SECONDS,
            registry=self.registry,
        )  # fmt: skip

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Tell the value of a function, whenever it is asked for."""
        Gauge(f"copyloom_{name}", what, registry=self.registry).set_function(value)

    def told(self) -> bytes:
        """Return all of it, as Prometheus reads it."""
        return generate_latest(self.registry)

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"copyloom_{name}", what, labels, registry=self.registry)
