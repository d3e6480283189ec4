"""Personalizer's clients over the same ledger: their bodies, their answers, honest chances."""

from urllib.parse import quote

import numpy as np
import pytest
from sqlalchemy import select

from embeddings.database import reading, text_id
from experiments.storefront.config import SlotSettings
from experiments.storefront.decide import Question
from experiments.storefront.tables import DecisionRow, ExposureRow, PendingRow, RewardRow
from experiments.storefront.worker import Worker

from .conftest import TEXTS

IDS = [text_id(text) for text in TEXTS]
RANK = "/personalizer/v1.0/rank"


def header(shop, **more) -> dict[str, str]:
    """The header in which Personalizer's clients send their key."""
    return {"Ocp-Apim-Subscription-Key": shop.key(**more)["Authorization"].removeprefix("Bearer ")}


def test_a_client_moves_by_changing_its_base_url(make_shop, database, clock):
    """The example of Personalizer's own documentation, but for the ids."""
    shop = make_shop(database, settings=SlotSettings(holdout=0))
    key = header(shop)
    body = {
        "contextFeatures": [{"timeOfDay": "Morning"}, {"device": "mobile"}],
        "actions": [{"id": one, "features": [{"type": "news"}]} for one in IDS],
        "excludedActions": [IDS[2]], "eventId": "75269AD0", "deferActivation": False,
    }  # fmt: skip
    said = shop.client.post(RANK, json=body, headers=key)
    assert said.status_code == 201
    found = said.json()
    chances = {one["id"]: one["probability"] for one in found["ranking"]}
    assert chances == {IDS[0]: pytest.approx(0.5), IDS[1]: pytest.approx(0.5), IDS[2]: 0}
    assert found["eventId"] == "75269AD0"
    assert found["rewardActionId"] == found["ranking"][0]["id"] == text_id(found["text"])
    assert shop.client.post(RANK, json=body, headers=key).json() == found
    reward = "/personalizer/v1.0/events/75269AD0/reward"
    for value in (1, 1, 0.5):
        said = shop.client.post(reward, json={"value": value}, headers=key)
        assert (said.status_code, said.content) == (204, b"")
    with reading(shop.engine) as connection:
        row = connection.execute(select(DecisionRow)).one()
    assert (row.propensity, row.context) == (pytest.approx(0.5), '{"device":"mobile","timeOfDay":"Morning"}')
    assert totals(shop, clock) == (1, 1)


def test_a_deferred_event_waits_for_its_activation(shop, clock):
    key = header(shop)
    for event in ("shown", "not"):
        shop.client.post(RANK, json={"eventId": event, "deferActivation": True}, headers=key)
        shop.client.post(f"/personalizer/v1.0/events/{event}/reward", json={"value": 1}, headers=key)
    assert shop.client.post("/personalizer/v1.0/events/shown/activate", headers=key).status_code == 204
    clock.turn(1806)
    with reading(shop.engine) as connection:
        due = set(connection.scalars(select(PendingRow.key).where(PendingRow.due_at <= clock())))
    assert len(due) == 1
    assert totals(shop, clock, 3700) == (1, 1)


@pytest.mark.parametrize("path", ["/personalizer/v1.0/rank?slot=hero", "/personalizer/hero/v1.0/rank",
                                  "/slots/hero/personalizer/v1.0/rank", RANK])  # fmt: skip
def test_the_slot_is_named_in_the_path_or_the_only_one(shop, path):
    key = header(shop)
    said = shop.client.post(path, json={}, headers=key)
    assert said.status_code == 201
    assert len(said.json()["eventId"]) == 32
    assert {one["text"] for one in said.json()["ranking"]} == set(TEXTS)
    unknown = path.replace("hero", "footer")
    assert shop.client.post(unknown, json={}, headers=key).status_code == (201 if path == RANK else 404)


def test_a_tenant_of_several_slots_or_none_must_name_one(make_shop, tmp_path):
    shop = make_shop(str(tmp_path / "shop.db"))
    said = shop.client.post(RANK, json={}, headers=header(shop, tenant="new"))
    assert (said.status_code, said.json()["errors"][0]["where"]) == (422, "query.slot")


@pytest.mark.parametrize(("body", "where"), [
    ({"actions": [{"id": "red"}, {"id": "blue"}]}, "body.actions"),
    ({"actions": [{"id": one} for one in IDS], "excludedActions": IDS}, "body.excludedActions"),
    ({"actions": [{"id": str(number)} for number in range(51)]}, "body.actions"),
    ({"eventId": "e" * 257}, "body.eventId"),
    ({"contextFeatures": [{"a": "x" * 5000}]}, "body.contextFeatures"),
    ({"slots": []}, "body.slots")])  # fmt: skip
def test_what_it_cannot_do_it_says(shop, body, where):
    said = shop.client.post(RANK, json=body, headers=header(shop))
    assert said.status_code == 422
    assert said.json()["errors"][0]["where"] == where


def test_actions_that_the_slot_does_not_know_have_no_chance(shop):
    body = {"actions": [{"id": "red"}, {"id": IDS[1]}]}
    found = shop.client.post(RANK, json=body, headers=header(shop)).json()
    assert [(one["id"], one["probability"], one["text"]) for one in found["ranking"]] == [
        (IDS[1], 1.0, TEXTS[1]), ("red", 0.0, None)]  # fmt: skip


def test_among_named_texts_the_chances_are_renormalised_and_drawn(make_shop, tmp_path):
    """Chances are exact; over 2,000 draws each text comes up within five standard deviations."""
    shop = make_shop(str(tmp_path / "shop.db"), settings=SlotSettings(holdout=0.2, baseline=TEXTS[0]))
    slot = shop.app.state.service.slots.get("default", "hero")
    object.__setattr__(slot, "chances", np.array([[0.5, 0.3, 0.2]]))
    for among, expected in (
        ((), [0.2 + 0.8 * 0.5, 0.8 * 0.3, 0.8 * 0.2]),
        ((IDS[0], IDS[2]), [0.2 + 0.8 * 5 / 7, 0, 0.8 * 2 / 7]),
        ((IDS[2], IDS[1]), [0, 0.8 * 0.6, 0.2 + 0.8 * 0.4]),  # the first stands in for the baseline
    ):
        assert slot.propensities(Question("e", among=among)) == pytest.approx(expected)
        chosen = [slot.choose(Question(str(number), among=among)) for number in range(2000)]
        counts = np.bincount([choice.place for choice in chosen], minlength=3)
        assert (abs(counts - 2000 * np.array(expected)) < 5 * (2000 * 0.25) ** 0.5).all()
        assert all(choice.propensity == pytest.approx(expected[choice.place]) for choice in chosen)


def test_an_event_asked_again_with_other_actions_is_a_conflict(shop):
    key = header(shop)
    body = {"eventId": "e", "actions": [{"id": one} for one in IDS]}
    assert shop.client.post(RANK, json=body, headers=key).status_code == 201
    said = shop.client.post(RANK, json={**body, "actions": body["actions"][:2]}, headers=key)
    assert said.status_code == 409


def test_a_killed_slot_ranks_the_baseline_first_with_all_the_chance(shop):
    key = header(shop)
    shop.client.post("/v1/slots/hero/kill", json={}, headers=key)
    found = shop.client.post(RANK, json={"actions": [{"id": one} for one in IDS[::-1]]}, headers=key).json()
    assert [one["probability"] for one in found["ranking"]] == [1, 0, 0]
    assert (found["rewardActionId"], found["reason"]) == (IDS[0], "killed")


def totals(shop, clock, seconds: float = 1806) -> tuple[int, int]:
    """Impressions and clicks that the campaign has on record once the windows have ended."""
    clock.turn(seconds)
    worker = Worker(shop.engine, clock=clock, write=False)
    worker.round()
    shown, clicked = worker.slots.campaign(worker.slots.get("default", "hero")).state.totals
    return int(shown.sum()), int(clicked.sum())


def test_an_event_id_may_hold_a_slash(shop):
    key, event = header(shop), "cart/7?x"
    body = {"eventId": event, "deferActivation": True}
    assert shop.client.post(RANK, json=body, headers=key).json()["eventId"] == event
    path = f"/personalizer/v1.0/events/{quote(event, safe='')}"
    assert shop.client.post(f"{path}/activate", headers=key).status_code == 204
    assert shop.client.post(f"{path}/reward", json={"value": 1}, headers=key).status_code == 204
    with reading(shop.engine) as connection:
        events = [connection.scalars(select(row.key)).all() for row in (DecisionRow, ExposureRow, RewardRow)]
    assert events[0] == events[1] == events[2]


def test_a_slot_that_is_not_there_is_said_in_both_shapes_of_errors(shop):
    key = shop.key()
    for what, body in (("rank", {}), ("events/e/activate", None), ("events/e/reward", {"value": 1})):
        said = shop.client.post(f"/slots/none/personalizer/v1.0/{what}", json=body, headers=key)
        found = said.json()
        assert (said.status_code, found["status"]) == (404, 404)
        assert found["error"] == {"code": "ResourceNotFound", "message": found["detail"]}
        assert "the slots are: hero" in found["detail"]
    assert "error" not in shop.client.get("/v1/texts?slot=none", headers=key).json()
