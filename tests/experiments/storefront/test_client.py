"""The clients against a service that fails: what may be sent again is, and a page always gets a text."""

import asyncio
import json

import httpx
import pytest

from experiments.storefront.client import AsyncClient, Client, ServiceError

SAID = {"text": "Dry feet.", "reason": "bandit", "propensity": 0.25, "snapshot_id": 3}


class Shop:
    """A service that fails as often as it is told, and remembers what it was asked."""

    def __init__(self, failures: int, status: int = 503) -> None:
        self.left, self.status, self.bodies = failures, status, []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(json.loads(request.content))
        if self.left:
            self.left -= 1
            if not self.status:
                raise httpx.ReadTimeout("slow")
            return httpx.Response(self.status, json={"detail": "the database cannot be written"})
        return httpx.Response(200, json=SAID | {"state": "joined"})


@pytest.mark.parametrize("status", [503, 0], ids=["busy", "no answer"])
def test_a_request_that_may_not_have_come_is_sent_again_as_it_was(status):
    shop = Shop(2, status)
    with Client("http://shop", "key", transport=httpx.MockTransport(shop)) as client:
        answer = client.decide("hero", "Boots.", unit="u")
    assert (answer.text, answer.event_id) == ("Dry feet.", shop.bodies[0]["event_id"])
    assert shop.bodies[0] == shop.bodies[1] == shop.bodies[2]


def test_a_page_gets_the_fallback_and_a_reward_an_error(caplog):
    for shop in (Shop(9), Shop(9, 0), Shop(9, 404)):
        with Client("http://shop", "key", transport=httpx.MockTransport(shop)) as client:
            answer = client.decide("hero", "Boots.", event_id="e")
            assert (answer.text, answer.reason, answer.event_id) == ("Boots.", "fallback", "e")
            assert "slot hero shows its fallback" in caplog.text
            caplog.clear()
            with pytest.raises(ServiceError, match=r"/v1/reward: "):
                client.reward("e")


def test_a_context_that_is_no_json_gives_the_fallback_and_is_said(caplog):
    with Client("http://shop", "key", transport=httpx.MockTransport(Shop(0))) as client:
        assert client.decide("hero", "Boots.", context={"at": object()}).reason == "fallback"
    assert "not JSON serializable" in caplog.text


def test_what_is_refused_is_not_sent_again():
    shop = Shop(9, 409)
    with (
        Client("http://shop", "key", transport=httpx.MockTransport(shop)) as client,
        pytest.raises(ServiceError, match="409, the database"),
    ):
        client.reward("e")
    assert len(shop.bodies) == 1


def test_the_asynchronous_client_does_the_same():
    shop = Shop(1)

    async def asked() -> tuple[str, str]:
        async with AsyncClient("http://shop", "key", transport=httpx.MockTransport(shop)) as client:
            answer = await client.decide("hero", "Boots.")
            return answer.text, await client.reward(answer.event_id)

    assert asyncio.run(asked()) == ("Dry feet.", "joined")
