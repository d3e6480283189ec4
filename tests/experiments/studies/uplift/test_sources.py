"""Where entrants take texts from: each from what it says it does, checked, and the same for the same belief."""

from pathlib import Path
from typing import Any

import pytest
import torch

from bandits import LogisticRewardModel, RewardPrior
from embeddings.effort import Effort
from embeddings.mixing import moved
from embeddings.space import Space
from embeddings.summary import Lineage
from experiments.asking import line_of
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Draft, Opened, Published
from experiments.campaigns.sentence_writer import SentenceWriter
from experiments.campaigns.sources import taken
from experiments.campaigns.state import replay
from experiments.campaigns.writer import Writer
from experiments.studies.uplift.settings import UpliftStudy, given_of
from experiments.studies.uplift.sources import HumanTexts, Prompted, SampleAgain, best_parents, question
from generator.checks import Checker, WritingRules

GIVEN = given_of(UpliftStudy(), 0, 15)


def campaign(rounds: int = 1) -> Campaign:
    opening = Opened(slate=tuple(GIVEN.own), parents=tuple(GIVEN.texts), segments=("all",))
    even = (1 / len(GIVEN.own),) * len(GIVEN.own)
    shown = [Published(snapshot=number, probabilities=even, impressions=100) for number in range(rounds)]
    return Campaign("one", (0,), replay([opening, *shown]))


def belief(clicks: list[int]) -> Any:
    many = len(GIVEN.own)
    return LogisticRewardModel(RewardPrior(base_rate=0.02)).fit(
        torch.zeros(1, many, 1, dtype=torch.float64), torch.full((1, many), 100.0), torch.tensor([clicks]).double()
    )


class Model:
    """Answers with numbered lines, and remembers what it was asked."""

    name = "numbers"

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    def answers(self, question: str, count: int, seed: int) -> list[str]:
        self.asked.append((question, count, seed))
        return [f'"Line {seed}-{number}."' for number in range(count)]


def test_the_best_parents_are_those_that_clicks_favour() -> None:
    clicks = [1, 9, 2, 5, 0]
    assert list(best_parents([campaign()], belief(clicks), 2)) == [[GIVEN.own[1], GIVEN.own[3]]]


def test_texts_sampled_again_come_from_one_parent_and_differ(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "effort", Effort(drafts=1))
    source = SampleAgain(writer, GIVEN.own, 5)
    first = source.first()
    assert {draft.lineage for draft in first} == {Lineage((text,), (1.0,)) for text in GIVEN.own}
    assert source.first() == first
    fresh = {draft.text for draft in first if not draft.refusals} - set(GIVEN.own)
    assert fresh
    assert GIVEN.subject is not None
    assert all(GIVEN.subject.name in text or GIVEN.subject.plural in text for text in fresh)

    class Shop:
        class config:  # noqa: N801
            class proposer:  # noqa: N801
                shortlist = 2

    (more,) = source.more(Shop, [campaign()], belief([0, 0, 9, 0, 0]))  # type: ignore[arg-type]
    assert {draft.lineage.parents for draft in more} == {(GIVEN.own[2],)}


def test_embeddings_are_moved_by_their_own_seeds_alone(space: Space) -> None:
    vectors, points = torch.ones(2, space.vectors, space.model.hidden_size), torch.eye(2, space.encoder.size)
    both = moved(vectors, points, [3, 4], space.adapter)
    alone = moved(vectors[1:], points[1:], [4], space.adapter)
    assert torch.equal(both[1][1:], alone[1])
    assert torch.allclose(both[0][1:], alone[0], atol=1e-5)
    assert torch.allclose(both[1].norm(dim=-1), torch.ones(2))
    same, still = moved(vectors, points, [3, 4], None)
    assert torch.equal(still, points)
    assert not torch.equal(same, vectors)


def test_a_sentence_writer_mixes_no_residuals_and_inverts_nothing(writer: Writer, space: Space) -> None:
    plain = SentenceWriter.beside(writer)
    ((draft, *_),) = plain.write([Lineage((GIVEN.own[0], GIVEN.own[1]), (0.5, 0.5))])
    assert draft.text
    plain.embed({"A text that was promoted.": Lineage((GIVEN.own[0],), (1.0,))})
    assert not plain.embeddings["A text that was promoted."].exact
    assert space.adapter is not None
    with torch.no_grad():
        said = space.adapter(plain.embeddings[GIVEN.own[0]].sentence_vector[None])[0]
    assert (plain.embeddings[GIVEN.own[0]].vectors - said).norm() < 1e-6 * said.norm()  # but for rounding


def test_a_model_is_shown_the_record_and_texts_and_its_answers_are_checked() -> None:
    assert GIVEN.subject is not None
    checker, model = Checker(WritingRules.like(GIVEN.texts), GIVEN.texts), Model()
    source = Prompted(model, GIVEN.subject, GIVEN.own, checker, 40, 0)
    drafts = source.first()
    assert [count for _, count, _ in model.asked] == [32, 8]
    assert drafts[0].text == "Line 0-0."
    assert {refusal.code for refusal in drafts[0].refusals} == {"length"}
    asked = question(GIVEN.subject, GIVEN.own[:2])
    assert all(part in asked for part in (GIVEN.subject.name, *GIVEN.own[:2]))
    assert [drafts[0].lineage.parents[place] in model.asked[0][0] for place in range(3)] == [True] * 3


def test_a_line_is_taken_out_of_what_models_put_around_it() -> None:
    assert line_of("\n- “Buy it.”\n- Or that.") == "Buy it."
    assert line_of("Sure:\n2) Buy  it now.") == "Buy it now."
    assert line_of("Here is one:") == ""


def test_texts_of_people_are_checked_and_each_is_taken_once() -> None:
    people = HumanTexts(["Buy it while it lasts.", GIVEN.own[0]], Checker(WritingRules.like(GIVEN.texts), GIVEN.texts))
    first, copy = people.first()
    assert [refusal.code for refusal in copy.refusals] == ["copy"]
    (happened,) = taken([campaign()], [[first, first]])
    assert happened[0].drafts == (first,)  # type: ignore[union-attr]
    known = campaign()
    known.state = replay(happened, known.state)
    assert taken([known], [[first]]) == [[]]
    assert isinstance(first, Draft)


def test_texts_of_people_may_come_from_a_file(tmp_path: Path) -> None:
    from copyloom import InputError
    from experiments.studies.uplift.play import Product

    assert GIVEN.subject is not None
    file = tmp_path / "people.csv"
    file.write_text(f"product,text\n{GIVEN.subject.name},Buy  it.\nanother thing,Not this.\n", encoding="utf-8")
    settings = UpliftStudy(pools=(15,), human_texts=file)
    assert Product(settings, 0, 15, tmp_path).people == ["Buy it."]
    file.write_text("product,text\nanother thing,Not this.\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"has no text with .* in the column product"):
        _ = Product(settings, 0, 15, tmp_path).people
