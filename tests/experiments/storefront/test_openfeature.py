"""Text flags through OpenFeature: the slot's text, its event, the default where the service is away."""

import json

import httpx
import pytest
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.track import TrackingEventDetails

from experiments.storefront.client import Client
from experiments.storefront.openfeature import EVENT, CopyloomProvider


@pytest.fixture
def asked():
    """What the service was asked, and an OpenFeature client of it; it is away while the flag is "away"."""
    requests = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        requests.append((request.url.path, body))
        if body.get("slot") == "away":
            raise httpx.ConnectError("refused")
        if request.url.path == "/v1/decide":
            said = {"text": "Dry feet.", "reason": "bandit", "propensity": 0.25, "snapshot_id": 3}
            return httpx.Response(200, json=said)
        if body["value"] > 1:
            return httpx.Response(422, json={"detail": "less than or equal to 1"})
        return httpx.Response(202, json={"state": "joined"})

    client = Client("http://shop", "key", transport=httpx.MockTransport(answer))
    api.set_provider(CopyloomProvider(client))
    yield requests, api.get_client()
    api.shutdown()


def test_a_flag_is_a_slots_text_and_tracking_rewards_its_decision(asked, caplog):
    requests, client = asked
    context = EvaluationContext("visitor 7", {"product": "boots", "device": "mobile"})
    found = client.get_string_details("hero", "Boots.", context)
    assert (found.value, found.reason, found.flag_metadata["propensity"]) == ("Dry feet.", "SPLIT", 0.25)
    path, body = requests[0]
    assert (path, body["unit_id"], body["product_id"], body["context"]) == (
        "/v1/decide", "visitor 7", "boots", {"device": "mobile"}
    )  # fmt: skip
    client.track("order", context, TrackingEventDetails(0.5, {EVENT: found.flag_metadata[EVENT]}))
    assert requests[1][1] == {"event_id": body["event_id"], "reward_id": "order", "value": 0.5, "kind": "order"}
    client.track("page view", context)
    assert len(requests) == 2
    assert "event 'page view' rewards nothing: its details lack the attribute event_id" in caplog.text


def test_tracking_never_raises_into_the_shop(asked, caplog):
    _, client = asked
    client.track("order", None, TrackingEventDetails(49.9, {EVENT: "e1"}))
    assert "event 'order' is not rewarded: /v1/reward: 422, less than or equal to 1" in caplog.text


def test_where_the_service_is_away_or_the_flag_no_text_the_default_holds(asked):
    _, client = asked
    assert client.get_string_details("away", "Boots.").value == "Boots."
    assert client.get_boolean_value("hero", True) is True
