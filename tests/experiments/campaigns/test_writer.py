"""The writer: what a brand bans is not written in the first place, and what was written comes back."""

from pathlib import Path
from typing import Any

import pytest

from embeddings.database import open_database, writing
from embeddings.effort import Effort
from embeddings.pool import Pool
from embeddings.space import Space
from embeddings.summary import Lineage
from embeddings.writing import MixtureWriter
from experiments.campaigns.events import Draft, Promoted, Written
from experiments.campaigns.writer import Writer
from experiments.texts import shipped_claims
from generator.checks import Checker, WritingRules
from generator.grammar import Grammar
from generator.reader import GrammarReader

CLAIMS, PRODUCT = shipped_claims()


def writer(space: Space, path: Path, subject: bool, **rules: Any) -> Writer:
    engine = open_database(path)
    pool = Pool(engine, "study", space.identity)
    stored = {embedding.text: embedding for embedding in pool.members()}
    if not stored:
        found = space.invert(CLAIMS[:6])
        pool.add(found)
        stored = {embedding.text: embedding for embedding in found}
    reader = GrammarReader(Grammar.load(), PRODUCT) if subject else None
    checker = Checker(WritingRules(only_known_words=subject, **rules), CLAIMS[:6], reader)
    return Writer(space, pool, [stored[text] for text in CLAIMS[:6]], PRODUCT if subject else None, checker)


@pytest.mark.parametrize("subject", [True, False])
def test_banned_words_are_known_while_writing(space: Space, tmp_path: Path, subject: bool) -> None:
    """Whatever word of the text is banned, another text comes that the brand allows; most often one is found."""
    lineage, free = Lineage((CLAIMS[0], CLAIMS[3]), (0.5, 0.5)), writer(space, tmp_path / "a.sqlite", subject)
    ((first, *_),) = free.write([lineage])
    assert not first.refusals
    words = [word.strip(".,:;!?") for word in first.text.split() if len(word) > 5 and word not in PRODUCT.name]
    fit = 0
    for word in words[:4]:
        ((other, *_),) = writer(space, tmp_path / "a.sqlite", subject, banned_words=(word,)).write([lineage])
        fit += not other.refusals
        assert other.refusals or word.lower() not in other.text.lower()
    assert fit >= len(words[:4]) / 2


def test_what_was_written_and_promoted_comes_back_without_the_model(
    space: Space, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lineage, first = Lineage((CLAIMS[0], CLAIMS[3]), (0.5, 0.5)), writer(space, tmp_path / "a.sqlite", True)
    (drafts,) = first.write([lineage, lineage])[:1]
    text = drafts[0].text
    first.embed({text: lineage})
    with writing(first.pool.engine) as connection:
        first.keep(connection, [Written(drafts=drafts), Promoted(texts=(text,))])
    again = writer(space, tmp_path / "a.sqlite", True)
    again.recall(drafts)
    again.encoder.recall(again.pool.engine)
    again.recall_parents([*CLAIMS[:6], text])
    monkeypatch.setattr(MixtureWriter, "write_about", lambda *_: pytest.fail("written again"))
    monkeypatch.setattr(Space, "invert", lambda *_: pytest.fail("inverted again"))
    assert again.write([lineage]) == [drafts]
    again.embed({text: lineage})
    assert again.embeddings[text].lineage == lineage
    assert again.sentence_vectors([text]).equal(first.sentence_vectors([text]))


def test_drafts_are_recalled_once(space: Space, tmp_path: Path) -> None:
    lineage, one = Lineage((CLAIMS[0], CLAIMS[3]), (0.5, 0.5)), writer(space, tmp_path / "a.sqlite", True)
    drafts = (Draft(lineage, "One."), Draft(lineage, "Another."))
    for _ in range(2):
        one.recall(drafts)
    assert one.drafts == {lineage: drafts}
    assert one.unwritten([lineage, Lineage((CLAIMS[0],), (1.0,))]) == [Lineage((CLAIMS[0],), (1.0,))]


def test_jitter_moves_mixtures_by_noise_of_their_own_and_single_texts_not(space: Space, tmp_path: Path) -> None:
    """What a mixture says hangs on its texts and weights alone; noise makes mixtures of the same texts differ."""
    grid = ((0.5, 0.5), (0.6, 0.4), (0.45, 0.55), (0.7, 0.3), (0.3, 0.7), (0.55, 0.45))
    mixtures = [Lineage((CLAIMS[0], CLAIMS[3]), weights) for weights in grid]
    single = Lineage((CLAIMS[4],), (1.0,))
    still, moving, alone = (writer(space, tmp_path / "a.sqlite", True) for _ in range(3))
    moving.effort = alone.effort = Effort(jitter=1.4)
    written = [{drafts[0].text for drafts in one.write(mixtures)} for one in (still, moving)]
    assert len(written[1]) > len(written[0])
    assert moving.write([single]) == still.write([single])
    assert alone.write(mixtures[2:3]) == moving.write(mixtures)[2:3]
    turned = alone.write([Lineage(mixtures[3].parents[::-1], mixtures[3].weights[::-1])])
    assert [draft.text for draft in turned[0]] == [draft.text for draft in moving.write(mixtures)[3]]
    ends = Lineage((CLAIMS[4], CLAIMS[0]), (1.0, 0.0))  # a text beside one that counts for nothing is no mixture
    assert [draft.text for draft in moving.write([ends])[0]] == [draft.text for draft in still.write([ends])[0]]
