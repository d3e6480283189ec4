"""Lines and pairs that only check whether a sheet is read: they say what to mark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from experiments.raters.questions import A, B, Of, Question

NEAR = 1
"""By how much a mark may be off on a check."""


@dataclass(frozen=True)
class Check:
    """A line or pair that says what to mark.

    Parameters
    ----------
    texts : tuple of str
    expected : mapping of str to str
        By question.
    """

    texts: tuple[str, ...]
    expected: Mapping[str, str]


def checks_for(questions: Sequence[Question], of: Of) -> list[Check]:
    """Return two checks for the questions about texts, or about pairs; none where there is no such question."""
    asked = [question for question in questions if question.of == of]
    highest = max((question.highest for question in asked), default=0)
    return [_check(asked, of, mark, side) for mark, side in ((highest, B), (1, A)) if asked]


def failed(check: Mapping[str, str], given: Mapping[str, str]) -> bool:
    """Return whether an answer to a check is another than it asks for; what is not answered does not count."""
    return any(
        abs(int(wanted) - int(given[name])) > NEAR if wanted.isdigit() else given[name] != wanted
        for name, wanted in check.items()
        if name in given
    )


def _check(asked: Sequence[Question], of: Of, mark: int, side: str) -> Check:
    rated = any(not question.choice for question in asked)
    chosen = any(question.choice for question in asked)
    words = [f"mark {mark} for every question" if not chosen else f"mark {mark}"] if rated else []
    words += [f"choose text {side}"] if chosen else []
    line = f"This {'line' if of == 'text' else 'pair'} checks that the sheet is read: please {' and '.join(words)}."
    return Check((line,) if of == "text" else (line, line),
                 {question.name: side if question.choice else str(mark) for question in asked})  # fmt: skip
