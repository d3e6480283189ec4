"""A target policy as a person writes it down: probabilities by text, and by position if they differ there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from bandits.evaluation.rounds import LoggedRounds
from bandits.evaluation.tables import ColumnReader, read_table
from bandits.evaluation.target import RoundPolicy
from copyloom import InputError
from copyloom.problems import problems_where, raise_if_any

_ROUNDING = 1e-3


@dataclass(frozen=True)
class TargetTable:
    """A probability for each text, or each text and position.

    Attributes
    ----------
    texts : tuple of str
    probabilities : tuple of float
        One a row; 0 for texts that have none.
    positions : tuple of str or None
        One a row; None if the policy is the same at all positions.
    """

    texts: tuple[str, ...]
    probabilities: tuple[float, ...]
    positions: tuple[str, ...] | None = None

    @classmethod
    def uniform(cls, texts: Sequence[str]) -> "TargetTable":
        """Every text alike."""
        return cls(tuple(texts), (1 / len(texts),) * len(texts))

    @classmethod
    def read(cls, source: Any, text: str = "text", position: str | None = None) -> "TargetTable":
        """The policy of a table with the columns of texts, `probability` and, if it has it, of positions.

        Parameters
        ----------
        source : mapping, table or path
            A dict from text to probability; or as for `read_table`.
        text, position : str
            What the log calls these columns.

        Raises
        ------
        InputError
            If the table cannot be read, or a row is no probability or repeats an earlier one.
        """
        if isinstance(source, Mapping) and all(isinstance(value, Real) for value in source.values()):
            source = {text: [str(name) for name in source], "probability": list(source.values())}
        table = read_table(source, [text, "probability"], optional=[position] if position else [])
        reader = ColumnReader(table)
        texts, probabilities = reader.labels(text), reader.numbers("probability")
        wrong = (probabilities < 0) | (probabilities > 1)
        reader.problems += problems_where(wrong, probabilities, "probability", "is out of range", "0 to 1")
        by_position = position if position in table.column_names else None
        positions = tuple(reader.labels(by_position).to_pylist()) if by_position else None
        names = tuple(texts.to_pylist())
        rows = list(zip(names, positions or names, strict=True))
        first = {row: number for number, row in reversed(list(enumerate(rows)))}
        repeated = np.array([first[row] != number for number, row in enumerate(rows)])
        reader.problems += problems_where(repeated, names, text, "is given again", "each text once, or once a position")
        raise_if_any(reader.problems, "the target")
        return cls(names, tuple(probabilities.tolist()), positions)

    def policy(self, names: Sequence[str], position_names: Sequence[str], rounds: LoggedRounds) -> RoundPolicy:
        """The policy in the rounds of a log.

        Parameters
        ----------
        names : sequence of str
            All N texts, in the order of the log's indices.
        position_names : sequence of str
            The positions, in that order.
        rounds : LoggedRounds

        Raises
        ------
        InputError
            If the probabilities of a position do not sum to 1 but for rounding (0.001), which is mended; or one
            of the policy's texts is not among the names.
        """
        if unnamed := set(self.texts) - set(names):
            raise InputError(f"the target's text {min(unnamed)!r} is not among the {len(names)} names; name all texts")
        column = {name: number for number, name in enumerate(names)}
        places = position_names if self.positions is not None else ("",)
        row = {place: number for number, place in enumerate(places)}
        probabilities = np.zeros((len(places), len(names)))
        for text, probability, place in zip(
            self.texts, self.probabilities, self.positions or ("",) * len(self.texts), strict=True
        ):
            if place in row:
                probabilities[row[place], column[text]] = probability
        totals = probabilities.sum(axis=1, keepdims=True)
        for place, total in zip(places, totals[:, 0], strict=True):
            if abs(total - 1) > _ROUNDING:
                where = f" at position {place}" if place else ""
                raise InputError(f"the target's probabilities{where} sum to {total:.6g}; they must sum to 1")
        groups = rounds.positions if self.positions is not None else np.zeros(len(rounds), np.int64)
        return RoundPolicy(probabilities / totals, groups)
