"""Which written texts join a slate: those with a chance, few at a time; and what is recorded of a mixture."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from embeddings.summary import Lineage
from experiments.campaigns import phases
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.config import CampaignConfig, PolicyConfig, ProposerConfig
from experiments.campaigns.events import Admitted, Closed, Draft, Opened, Published, Reviewed, Written
from experiments.campaigns.state import replay
from experiments.campaigns.workshop import Workshop
from experiments.campaigns.writer import Writer

OWN = ("worse 0", "better 0")
LINEAGE = Lineage(OWN, (0.5, 0.5))
WAITING = tuple(f"{kind} {number}" for number in range(1, 4) for kind in ("worse", "middling", "better"))


def shop(rounds: int = 20, **proposer: Any) -> Workshop:
    """Return a workshop in which texts differ in one feature only, as their first word says."""

    class Words:
        def sentence_vectors(self, texts: Sequence[str]) -> Tensor:
            places = {"worse": -1.0, "middling": 0.0, "better": 1.0}
            return torch.tensor([[places[text.split()[0]]] for text in texts], dtype=torch.float64)

    class Plain:
        features = 1

        def __call__(self, vectors: Tensor) -> Tensor:
            return vectors

    config = CampaignConfig(rounds=rounds, proposer=ProposerConfig(**{"admit_every": 1, "after": 1, **proposer}))
    return Workshop(config, Words(), Plain(), lambda *_: None)  # type: ignore[arg-type]


def campaign(review: bool = False, shown: int = 200_000) -> Campaign:
    """Return a campaign that has learned, from many impressions, that its second text is far better."""
    drafts = tuple(Draft(LINEAGE, text) for text in WAITING)
    clicks = [(0, 0, shown, shown // 100), (1, 0, shown, shown // 25)]
    return Campaign("c", (0,), replay([
        Opened(slate=OWN, parents=OWN, segments=("all",), review=review), Written(drafts=drafts),
        Published(snapshot=0, probabilities=(0.5, 0.5), impressions=2 * shown),
        Closed(id="0", snapshot=0, counts=tuple(clicks)),
    ]))  # fmt: skip


def joining(workshop: Workshop, one: Campaign) -> tuple[str, ...]:
    (happened,) = phases.admit(workshop, [one], phases.learn(workshop, [one]))
    return sum((event.texts for event in happened if isinstance(event, Admitted)), ())


def test_the_most_promising_join_few_at_a_time() -> None:
    assert joining(shop(admit=2), campaign()) == ("better 1", "better 2")
    assert joining(shop(admit=9, shortfall=9.0), campaign())[:3] == ("better 1", "better 2", "better 3")


def test_of_no_texts_none_is_promising() -> None:
    workshop, one = shop(), campaign()
    assert phases.most_promising(workshop, one, [], phases.learn(workshop, [one])) == []


def test_what_has_no_chance_beside_the_best_does_not_join() -> None:
    assert set(joining(shop(admit=9), campaign())) == {"better 1", "better 2", "better 3"}
    assert set(joining(shop(admit=9, shortfall=9.0), campaign())) == set(WAITING)
    assert joining(shop(admit=9, shortfall=0.0), campaign()) == ()  # clicks of its own put the best above its kind
    assert len(joining(shop(admit=9), campaign(shown=100))) == 9  # little is known, so all may turn out best


def test_all_that_people_approved_join() -> None:
    one = campaign(review=True)
    assert joining(shop(admit=1), one) == ()
    approved = Reviewed(texts=("worse 1", "middling 2"), approved=True, by="ann", reason="")
    one.state = replay([approved], one.state)
    assert joining(shop(admit=1, shortfall=0.0), one) == ("middling 2", "worse 1")


def test_where_there_is_no_room_for_all_that_people_approved_the_most_promising_join() -> None:
    one = campaign(review=True)
    policy = PolicyConfig(floor=0.09)  # room for eleven texts
    one.state = replay([Reviewed(texts=WAITING, approved=True, by="ann", reason="")], one.state)
    assert len(joining(shop(), one)) == 9
    one.state = replace(one.state, opening=one.state.opening.model_copy(update={"policy": policy}))
    assert len(joining(shop(), one)) == 9
    few = one.state.opening.model_copy(update={"policy": PolicyConfig(floor=0.099)})
    one.state = replace(one.state, opening=few)
    assert joining(shop(), one)[:4] == ("better 1", "better 2", "better 3", "middling 1")
    assert "worse 3" not in joining(shop(), one)


def test_texts_join_more_often_than_mixtures_are_proposed() -> None:
    workshop = shop(every=4, until=0.5)
    at = [SimpleNamespace(opening=SimpleNamespace(mixing=True), snapshots=[None] * number) for number in range(20)]
    assert [number for number, state in enumerate(at) if workshop.proposes(state)] == [4, 8]  # type: ignore[arg-type]
    assert [number for number, state in enumerate(at) if workshop.admits(state)] == list(range(1, 10))  # type: ignore[arg-type]


def test_at_the_start_only_stored_texts_are_shown() -> None:
    workshop = shop(rounds=50, after=5, every=2, until=0.2)
    at = [SimpleNamespace(opening=SimpleNamespace(mixing=True), snapshots=[None] * number) for number in range(20)]
    assert [number for number, state in enumerate(at) if workshop.admits(state)] == [5, 6, 7, 8, 9]  # type: ignore[arg-type]
    assert [number for number, state in enumerate(at) if workshop.proposes(state)] == [6, 8]  # type: ignore[arg-type]
    short = shop(rounds=20, after=5)
    assert [number for number, state in enumerate(at) if short.admits(state)] == list(range(2, 12))  # type: ignore[arg-type]
    assert not shop(after=0).admits(at[0])  # type: ignore[arg-type]


def test_of_a_mixture_the_first_draft_is_recorded_and_others_that_are_new() -> None:
    pairs = [Lineage(OWN, (weight, 1 - weight)) for weight in (0.5, 0.25, 0.75)]
    texts = [("a", "b", "c"), ("a", "c", "d"), ("e", "d", "a")]

    class Told:
        def write(self, lineages: Sequence[Lineage]) -> list[tuple[Draft, ...]]:
            return [tuple(Draft(pair, text) for text in texts[pairs.index(pair)]) for pair in lineages]

    writer: Writer = Told()  # type: ignore[assignment]
    one = Campaign("c", (0,), replay([Opened(slate=OWN, parents=OWN, segments=("all",))]))
    ((written,),) = phases.write(writer, pairs[:2], [one])
    assert isinstance(written, Written)
    assert [draft.text for draft in written.drafts] == ["a", "b", "c", "a", "d"]
    one.state = replay([written], one.state)
    ((later,),) = phases.write(writer, pairs, [one])
    assert isinstance(later, Written)
    assert [(draft.lineage, draft.text) for draft in later.drafts] == [(pairs[2], "e")]
