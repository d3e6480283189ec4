"""Vowpal Wabbit's slates choose what to mix: by what was clicked, the same again from the same state."""

import itertools

import pytest
import torch

from copyloom import InputError
from embeddings.summary import Lineage
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Admitted, Closed, Draft, Opened, Published, Written
from experiments.campaigns.slates import choose_mixtures
from experiments.campaigns.state import replay
from experiments.campaigns.workshop import WEIGHTS

PARENTS = tuple(f"claim {number}" for number in range(5))
FEATURES = torch.eye(5)


def campaign(good: str | None) -> Campaign:
    """Return a campaign in which mixtures of one parent were clicked in half of their impressions, others never."""
    pairs = itertools.permutations(PARENTS, 2)
    drafts = tuple(Draft(Lineage(pair, (0.5, 0.5)), f"{pair[0]} with {pair[1]}") for pair in pairs)
    opening = Opened(slate=PARENTS[:1], parents=PARENTS, segments=("all",))
    texts = tuple(draft.text for draft in drafts)
    happened = [opening, Written(drafts=drafts), Admitted(texts=texts),
                Published(snapshot=0, probabilities=(1 / 21,) * 21, impressions=2100)]  # fmt: skip
    counts = tuple((place, 0, 100, 50 * (good in draft.lineage.parents)) for place, draft in enumerate(drafts, start=1))
    return Campaign("c", (0,), replay([*happened, Closed(id="0", snapshot=0, counts=counts if good else ())]))


def test_parents_whose_mixtures_are_clicked_are_chosen() -> None:
    def share(good: str) -> float:
        found = choose_mixtures(campaign(good), FEATURES, WEIGHTS, 6)
        return sum("claim 3" in lineage.parents for lineage in found) / len(found)

    assert share("claim 3") > share("claim 1") + 0.3


def test_mixtures_are_new_of_two_texts_with_chances_and_the_same_again() -> None:
    one = campaign("claim 2")
    found = choose_mixtures(one, FEATURES, WEIGHTS, 8)
    assert 0 < len(found) <= 8
    assert found == choose_mixtures(campaign("claim 2"), FEATURES, WEIGHTS, 8)
    for lineage, chances in found.items():
        assert len(set(lineage.parents)) == 2
        assert lineage.weights in WEIGHTS
        assert lineage not in one.state.tried
        assert len(chances) == 3
        assert all(0 < chance <= 1 for chance in chances)
    keys = {frozenset(zip(lineage.parents, lineage.weights, strict=True)) for lineage in found}
    assert len(keys) == len(found)


def test_before_anything_was_shown_every_parent_may_be_drawn() -> None:
    found = choose_mixtures(campaign(None), FEATURES, WEIGHTS, 20)
    assert {parent for lineage in found for parent in lineage.parents} == set(PARENTS)


def test_chances_are_on_record_and_one_for_each_draft() -> None:
    state = campaign(None).state
    lineage = Lineage(PARENTS[:2], (0.7, 0.3))
    written = Written(drafts=(Draft(lineage, "new"),), chances=((0.5, 0.25, 0.2),))
    assert replay([written], state).chances == {lineage: (0.5, 0.25, 0.2)}
    with pytest.raises(InputError, match="not one for each draft"):
        replay([Written(drafts=(Draft(lineage, "new"),), chances=((0.5,), (0.5,)))], state)
