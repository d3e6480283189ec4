"""The report of any campaign: its numbers are the ledger's, its intervals hold, and it says what it cannot know."""

from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bandits.sequential.confidence_sequences import rate_interval
from copyloom import InputError
from embeddings.summary import Lineage
from experiments.campaigns.config import PolicyConfig
from experiments.campaigns.events import Admitted, Closed, Draft, Event, Happening, Opened, Published, Retired, Written
from experiments.reports.campaign import campaign_data, write_campaign_report
from generator.checks import Refusal

TEXTS = ("Plain <b>tea</b> & more.", "A quiet kettle.")
NEW = Draft(Lineage(TEXTS, (0.7, 0.3)), "A kettle for plain tea.")
BAD = Draft(Lineage(TEXTS, (0.5, 0.5)), "A kettle for 40 thousand.", (Refusal("invented number", "no 40"),))


def events(*more: Happening, **opening: Any) -> list[Event]:
    happened = [
        Opened(slate=TEXTS, parents=TEXTS, segments=("a", "b"), **opening),
        Written(drafts=(NEW, BAD)),
        Published(snapshot=0, probabilities=(0.5, 0.5), impressions=1000),
        Closed(id="0", snapshot=0, counts=((0, 0, 300, 3), (0, 1, 200, 2), (1, 0, 500, 20))),
        *more,
    ]
    at = datetime(2026, 11, 29, 8, 30, tzinfo=UTC)
    return [Event("shop", number, at, what) for number, what in enumerate(happened)]


JOINED = (
    Admitted(texts=(NEW.text,)),
    Published(snapshot=1, probabilities=(0.1, 0.2, 0.7), impressions=1000),
    Closed(id="1", snapshot=1, counts=((0, 0, 100, 1), (1, 0, 200, 8), (2, 1, 700, 60))),
)


def page(data: dict[str, Any], folder: Path) -> str:
    write_campaign_report(data, folder / "campaign.html")
    return (folder / "campaign.html").read_text()


def test_numbers_are_the_ledgers_and_intervals_hold_for_all_texts_together(tmp_path: Path) -> None:
    data = campaign_data("shop", events(*JOINED))
    assert (data["impressions"], data["clicks"], data["snapshots"], data["snapshots_closed"]) == (2000, 94, 2, 2)
    rows = {row["text"]: row for row in data["texts"]}
    assert [row["impressions"] for row in data["texts"]] == [700, 700, 600]
    new = rows[NEW.text]
    assert (new["kind"], new["clicks"], new["probability"]) == ("written", 60, 0.7)
    low, high = rate_interval(60, 700, 0.05 / 3)
    assert (new["low"], new["high"]) == (pytest.approx(float(low)), pytest.approx(float(high)))
    assert new["parents"][0] == {"text": TEXTS[0], "weight": 0.7}
    assert data["refused"]["counts"] == {"invented number": 1}
    html = page(data, tmp_path)
    assert "Plain &lt;b&gt;tea&lt;/b&gt; &amp; more." in html
    assert "<b>tea" not in html
    assert "True CTR" not in html
    assert "no snapshot" not in html


def test_segments_have_their_own_rates_and_what_each_is_shown_most(tmp_path: Path) -> None:
    plain = campaign_data("shop", events(*JOINED))["segments"]
    assert [(row["name"], row["impressions"], row["clicks"]) for row in plain] == [("a", 1100, 32), ("b", 900, 62)]
    low, high = rate_interval(32, 1100, 0.05 / 2)
    assert (plain[0]["low"], plain[0]["high"], plain[0]["text"]) == (float(low), float(high), None)
    apart = Published(snapshot=1, probabilities=(0.5, 0.5), impressions=9, by_segment=((0.9, 0.1), (0.2, 0.8)))
    data = campaign_data("shop", events(apart, policy=PolicyConfig.model_validate({"segments": {}})))
    assert [(row["text"], row["probability"]) for row in data["segments"]] == [(TEXTS[0], 0.9), (TEXTS[1], 0.8)]
    assert "Shown most now" in page(data, tmp_path)
    assert "gives each its own chances" in page(campaign_data("shop", events(*JOINED)), tmp_path)


def test_rates_that_move_are_noticed_and_others_are_not(tmp_path: Path) -> None:
    def campaign(*rates: float) -> dict[str, Any]:
        happened: list[Happening] = []
        for number, rate in enumerate(rates, start=1):
            counts = tuple((place, 0, 2000, round(2000 * rate)) for place in range(2))
            happened += [Published(snapshot=number, probabilities=(0.5, 0.5), impressions=4000),
                         Closed(id=str(number), snapshot=number, counts=counts)]  # fmt: skip
        return campaign_data("shop", events(*happened))

    still, moved = campaign(*[0.02] * 20), campaign(*[0.02] * 10, *[0.05] * 6)
    assert still["drifted_at"] is None
    assert 10 < moved["drifted_at"] < 14
    assert "rates move" in page(moved, tmp_path)
    assert "rates move" not in page(still, tmp_path)


def test_a_policy_that_sorts_texts_by_segment_moves_no_rates_and_compares_no_texts(tmp_path: Path) -> None:
    """Each of two segments likes one text; from the seventh snapshot on each is shown its own."""
    rates, happened = ((0.03, 0.06), (0.06, 0.03)), list[Happening]()
    for number in range(1, 16):
        chances = ((0.5, 0.5), (0.5, 0.5)) if number < 7 else ((0.05, 0.95), (0.95, 0.05))
        counts = tuple((place, segment, n := round(3000 * chances[segment][place]), round(n * rates[place][segment]))
                       for place in range(2) for segment in range(2))  # fmt: skip
        happened += [Published(snapshot=number, probabilities=(0.5, 0.5), impressions=6000, by_segment=chances),
                     Closed(id=str(number), snapshot=number, counts=counts)]  # fmt: skip
    policy = PolicyConfig.model_validate({"segments": {}, "holdout": {"share": 0.05}})
    begun = events(policy=policy)[:2]
    first = [Published(snapshot=0, probabilities=(0.5, 0.5), impressions=9)]
    at = begun[0].at
    every = [*begun, *(Event("shop", number, at, what) for number, what in enumerate([*first, *happened], start=2))]
    data = campaign_data("shop", every, np.full(2, 0.045))
    assert data["drifted_at"] is None
    assert data["control"] is data["new_beside_stored"] is data["texts"][0]["ctr_true"] is None
    html = page(data, tmp_path)
    assert "shows each segment what it likes" in html
    assert "fair experiment" not in html


def test_true_rates_stand_beside_where_they_are_known(tmp_path: Path) -> None:
    data = campaign_data("shop", events(*JOINED), np.full(3, 0.04))
    assert {row["ctr_true"] for row in data["texts"]} == {0.04}
    assert "True CTR" in page(data, tmp_path)


def test_what_a_new_text_is_worth_is_said_with_every_pair_that_might_have_been_chosen() -> None:
    found = campaign_data("shop", events(*JOINED))["new_beside_stored"]
    assert (found["new"], found["stored"], found["pairs"]) == (NEW.text, "A quiet kettle.", 2)
    assert found["difference"] == pytest.approx(60 / 700 - 28 / 700)
    assert found["interval"][0] < found["difference"] < found["interval"][1]


def test_a_control_is_compared_with_the_rest(tmp_path: Path) -> None:
    policy = PolicyConfig.model_validate({"name": "ucb", "holdout": {"share": 0.1, "text": TEXTS[1]}})
    data = campaign_data("shop", events(*JOINED, policy=policy))
    assert data["control"]["text"] == TEXTS[1]
    assert data["control"]["rates"] == [28 / 700, 66 / 1300]
    assert "this is a fair experiment" in page(data, tmp_path)
    plain = campaign_data("shop", events(*JOINED))
    assert plain["control"] is None
    assert "nothing fair to be compared with" in page(plain, tmp_path)


def test_pages_of_campaigns_that_have_hardly_begun(tmp_path: Path) -> None:
    every = events(*JOINED)
    for count in range(1, len(every) + 1):
        html = page(campaign_data("shop", every[:count]), tmp_path)
        assert unescape(html).count("None") == 0
    late = campaign_data("shop", events(Published(snapshot=1, probabilities=(1.0, 0.0), impressions=9)))
    assert (late["snapshots"], late["snapshots_closed"]) == (2, 1)
    assert "nothing has come back of 1" in page(late, tmp_path)
    retired = campaign_data("shop", events(*JOINED, Retired(texts=(TEXTS[1],), reason="sold out")))
    assert [row["text"] for row in retired["texts"] if row["retired"]] == [TEXTS[1]]
    with pytest.raises(InputError, match="nothing is on record"):
        campaign_data("shop", [])
