"""A drawn product, and what writes about it: its stored texts are inverted, and its first mixtures written, once."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine

from copyloom import Report
from embeddings.database import open_database
from embeddings.pool import Pool
from embeddings.space import Space
from experiments.campaigns.given import Given
from experiments.campaigns.workshop import settled
from experiments.campaigns.writer import Writer
from experiments.studies.uplift.settings import UpliftStudy, given_of
from generator.checks import Checker, WritingRules
from generator.grammar import Grammar
from generator.reader import GrammarReader

Hire = Callable[[Engine], Writer]


@pytest.fixture(scope="session")
def given() -> Given:
    """A product and fifteen stored texts, of which five are about it."""
    return given_of(UpliftStudy(), 0, 15)


@pytest.fixture(scope="session")
def hire(given: Given, space: Space) -> Hire:
    """A function that returns a new writer, which knows what others of it have written."""
    assert given.subject is not None
    embeddings, reader = space.invert(given.texts), GrammarReader(Grammar.load(), given.subject)
    checker, earlier = Checker(WritingRules.like(given.texts, True), given.texts, reader), list[Writer]()

    def hired(engine: Engine) -> Writer:
        found = Writer(space, Pool(engine, "study", space.identity), embeddings, given.subject, checker)
        for writer in earlier:
            found.recall(draft for drafts in writer.drafts.values() for draft in drafts)
        earlier.append(found)
        return found

    return hired


@pytest.fixture(scope="session")
def writer(hire: Hire, tmp_path_factory: pytest.TempPathFactory) -> Writer:
    """What writes about the product."""
    return hire(open_database(tmp_path_factory.mktemp("pool") / "pool.sqlite"))


@pytest.fixture
def quick_study(hire: Hire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let studies of the product begin with stored texts that are inverted."""

    def hired(config: Any, given: Given, engine: Engine, report: Report) -> tuple[Any, Writer]:
        return settled(config, given), hire(engine)

    monkeypatch.setattr("experiments.studies.uplift.play.hired", hired)
