"""Six tasks about products: what is asked, the answer that rules make of facts, and how an answer is checked."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, partial

from experiments.domains.domain import Domain
from experiments.elm.checks import by_side, f_score, five_of
from experiments.elm.questions import TEXT, Place, Question, Task, between, starting

_NEIGHBOURS = 20
_WORD = re.compile(r"[a-z]{4,}")
_PLAIN = frozenset(
    re.findall(r"\w+", "with your this that from their them they have into will more than over made make just")
)


@dataclass(frozen=True, eq=False)
class ProductTasks:
    """The tasks about the products of a domain.

    Parameters
    ----------
    products : Domain
    """

    products: Domain

    @property
    def tasks(self) -> tuple[Task, ...]:
        """All of them."""
        return tuple(self._task(name) for name in _TASKS)

    def _task(self, name: str) -> Task:
        told, asks = f"product {name.replace('_', ' ')}", getattr(self, name)
        return Task.paired(told, asks, self._other) if name in _PAIRS else Task(told, asks)

    @cached_property
    def known(self) -> frozenset[int]:
        """Numbers of the products that are not held out."""
        return frozenset(self.products.known)

    def _place(self, number: int) -> Place:
        return Place(TEXT, self.products.semantic[number], self.products.entities[number].text)

    def _about(self, number: int, asked: str, target: str, check: Callable[[str], float]) -> Question:
        return Question(f"{{product}}\n{asked}", {"product": self._place(number)}, target, check, (number,))

    def describe(self, n: int, rng: random.Random) -> Question:
        """Ask for a description."""
        target = " ".join(self.products.entities[n].facts["about"])
        words = words_of(target)
        asked = self._about(n, "Describe this product.", target, lambda text: f_score(words_of(text), words))
        return replace(asked, point=self.products.semantic[n])

    def title(self, n: int, rng: random.Random) -> Question:
        """Ask for a name for the shop."""
        target = self.products.entities[n].fact("title")
        words = words_of(target)
        return self._about(n, "Give it a name.", target, lambda text: f_score(words_of(text), words))

    def category(self, n: int, rng: random.Random) -> Question:
        """Ask what kind of product it is."""
        true = self.products.entities[n].fact("category")
        return self._about(n, "What kind of product is it?", f"{starting(true)}.",
                           lambda text: f_score(words_of(text, 3), words_of(true, 3)))  # fmt: skip

    def features(self, n: int, rng: random.Random) -> Question | None:
        """Ask for five features: words of its name, and what it is tagged with."""
        product = self.products.entities[n]
        name = [word for word in product.fact("title").casefold().split() if _WORD.fullmatch(word)]
        found = list(dict.fromkeys([*name, *product.facts.get("tags", ())]))[:5]
        if len(found) < 5:
            return None
        return self._about(n, "Name five features.", f"{starting('; '.join(found))}.", partial(five_of, found))

    def _other(self, n: int, rng: random.Random) -> int:
        among = self.products.known if n in self.known else self.products.held_out
        near = self.products.nearest(self.products.semantic[n][None], [m for m in among if m != n], _NEIGHBOURS)
        return int(rng.choice(near[0].tolist()))

    def _both(self, n: int, m: int, asked: str, target: str, check: Callable[[str], float]) -> Question:
        places = {"product": self._place(n), "other": self._place(m)}
        return Question(f"{{product}}\n{{other}}\n{asked}", places, target, check, (n, m))

    def compare(self, n: int, m: int) -> Question:
        """Ask to compare two products."""
        kinds = [self.products.entities[number].fact("category") for number in (n, m)]
        names = [self.products.entities[number].fact("title") for number in (n, m)]
        said = [f"{kind}, {name}" for kind, name in zip(kinds, names, strict=True)]
        words = [words_of(kind, 3) for kind in kinds]
        true = {(side, word) for side, some in zip(("first", "second"), words, strict=True) for word in some}

        def kinds_in(text: str) -> set[str]:
            return words_of(text, 3) & (words[0] | words[1])

        return self._both(n, m, "Compare the two products.", f"The first: {said[0]}. The second: {said[1]}.",
                          lambda text: f_score(by_side(kinds_in, text), true))  # fmt: skip

    def in_between(self, n: int, m: int) -> Question:
        """Ask for a product between two: the answer is the known one nearest to their middle."""
        point = between(self.products.semantic[n], self.products.semantic[m], 0.5)
        near = [k for k in self.products.nearest(point[None], self.products.known, 3)[0].tolist() if k not in (n, m)]
        target = " ".join(self.products.entities[near[0]].facts["about"])
        words = words_of(" ".join(" ".join(self.products.entities[number].facts["about"]) for number in (n, m)))
        asked = self._both(n, m, "Describe a product in between.", target,
                           lambda text: f_score(words_of(text), words))  # fmt: skip
        return replace(asked, point=point)


_TASKS = ("describe", "title", "category", "features", "compare", "in_between")
_PAIRS = ("compare", "in_between")


def words_of(text: str, least: int = 4) -> set[str]:
    """Return the telling words of a text, of `least` letters or more."""
    return {word for word in re.findall(r"[a-z]+", text.casefold()) if len(word) >= least and word not in _PLAIN}
