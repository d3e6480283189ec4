"""The service's description: committed as it is, and whole. `test_fuzz` holds the service to it."""

import json
from pathlib import Path

import pytest

from experiments.storefront.app import describe

COMMITTED = Path(__file__).parents[3] / "docs" / "openapi.json"
OPEN = {"/health", "/ready", "/metrics"}
SIGNED = {"/v1/webhooks/{name}"}


@pytest.fixture(scope="module")
def described():
    return describe()


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
