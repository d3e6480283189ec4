"""The service's description: committed as it is, whole, and true when the service is fuzzed from it."""

import contextlib
import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from experiments.storefront.app import describe

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"
OPEN = {"/health", "/ready", "/metrics"}
SIGNED = {"/v1/webhooks/{name}"}


@pytest.fixture(scope="module")
def described():
    return describe()


@schemathesis.serializer("application/x-ndjson")
def one_line(context, value):
    """A body of events: what was generated, as a line of its own."""
    return json.dumps(value).encode() + b"\n"


def operations(described):
    return [(path, how) for path, item in described["paths"].items() for how in item.values()]


def test_the_committed_description_is_the_services(described):
    assert json.loads(COMMITTED.read_text("utf-8")) == described, (
        "write it again: python -m experiments.storefront.app docs/openapi.json"
    )


def test_every_operation_is_named_summed_up_and_says_its_problems(described):
    found = operations(described)
    names = [how["operationId"] for _, how in found]
    assert len(set(names)) == len(names) >= 30
    for path, how in found:
        assert how["summary"]
        problems = {status for status, said in how["responses"].items() if "application/problem+json" in
                    said.get("content", {})}  # fmt: skip
        assert all(status in problems for status in how["responses"] if status >= "400")
        if path not in OPEN:
            assert {"401", "422", "429", "404" if path in SIGNED else "403"} <= problems
            assert how["security"]
        if "requestBody" in how:
            assert {"400", "413"} <= problems


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_fuzzed_from_its_description_it_neither_fails_nor_lies(shop, mode):
    """Cases of each operation, such as fit and such as do not: no server error, no answer that is not described."""
    schema, key = schemathesis.openapi.from_asgi("/openapi.json", shop.app), shop.key()
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path == "/v1/events" and mode is GenerationMode.NEGATIVE:
            continue  # says in each line's status what is wrong with it

        @seed(7)
        @settings(max_examples=8, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case):
            nonlocal tried
            tried += 1
            # Actions that are no texts of the slot are fit, and refused nevertheless; so is another version's ETag.
            refused = case.path.endswith("/rank") or (case.path, case.method) == ("/v1/brand", "PUT")
            excluded = [positive_data_acceptance] if refused else []
            case.call_and_validate(headers=key, excluded_checks=excluded)

        with contextlib.suppress(Unsatisfiable):  # some take nothing that could be wrong
            ask()
    assert tried > 100
