"""Sheets on which people rate texts without knowing how these are coded, and what they say once they come back."""

from __future__ import annotations

import csv
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from bandits.evaluation.tables import read_table
from copyloom import InputError
from copyloom.columns import is_missing
from copyloom.numbers import parse_numbers
from copyloom.tables import open_table
from embeddings.folders import replacing
from experiments.bootstrap import bounds
from experiments.reports.report import environment, write_page
from experiments.studies.preferences.coding import STYLE, Coded

Array = NDArray[np.float64]
SCALE = (1, 7)
QUESTIONS = {
    "emotional": "How much does it speak to feelings?",
    "factual": "How much does it tell facts that one could check?",
    "concrete": "How much is it about things that one can see, touch or count?",
    "appealing": "How much would you like to read on?",
}
INSTRUCTIONS = (
    "Please rate each line by itself, from 1 (not at all) to 7 (very much). There is no right answer: go by your first "
    "impression, use the whole scale, and do not go back to compare. Some lines only check that the sheet is read: "
    "they say what to mark."
)
_CHECKS = {f"This line checks that the sheet is read: please mark {mark} for every question.": mark for mark in (7, 1)}
_PAIRS = (("emotional", "appeal", "emotional", "factual"), ("factual", "appeal", "factual", "emotional"),
          ("concrete", "wording", "concrete", "abstract"))  # fmt: skip
"""What a coding should show on the sheet: a question, an attribute, and the level that should be rated higher."""
_FACTUAL_STYLES = {"factual", "technical"}
_RESAMPLES, _ALIKE = 500, 8
_UNREAD = "failed the lines that check whether the sheet is read"


@dataclass(frozen=True, eq=False)
class Ratings:
    """What R raters said of N texts.

    Parameters
    ----------
    raters : tuple of str
        Those who count.
    texts : array of shape (N,)
        Numbers of the texts that at least one of them rated.
    marks : dict of str to array of shape (R, N)
        By question; NaN where one was not answered.
    left_out : dict of str to str
        Raters who do not count, and why.
    unrated : int
        Answers that are missing.
    """

    raters: tuple[str, ...]
    texts: NDArray[np.int64]
    marks: dict[str, Array]
    left_out: dict[str, str]
    unrated: int


def sheet_id(text: str) -> str:
    """Return by what a text is known on a sheet: seven letters that say nothing of it, the same on every sheet."""
    digest = sha256(f"rater sheet {text}".encode()).digest()
    return "".join(
        chr(ord("A") + byte % 26) for byte in digest[:7]
    )  # no figures, or spreadsheets would make numbers of them


def write_sheets(
    texts: Sequence[str], coded: Coded, path: Path, raters: int = 1, many: int = 45, seed: int = 0
) -> list[Path]:
    """Write a sheet a rater, CSV or HTML by the ending, each in an order of its own, and return the files.

    As many texts as there are of each intended appeal; no sheet says how a text is coded.

    Parameters
    ----------
    texts : sequence of str
    coded : Coded
    path : Path
        ``sheet.html`` becomes ``sheet-1.html`` and so on where there are many raters.
    raters : int
    many : int
        Texts on a sheet.
    seed : int

    Raises
    ------
    InputError
        If the ending is another, or there are too few texts.
    """
    if path.suffix.lower() not in (".csv", ".html"):
        raise InputError(f"a rater sheet cannot be written to {path}; give a name that ends in .csv or .html")
    chosen = [texts[number] for number in balanced(intended(coded), many, random.Random(seed))]
    if len(chosen) < 2:
        raise InputError(f"a sheet of {len(chosen)} texts says nothing; give a log with more texts")
    files = []
    for rater in range(raters):
        rows = [(sheet_id(text), text) for text in [*chosen, *_CHECKS]]
        random.Random(seed * 1000 + rater + 1).shuffle(rows)
        file = path if raters == 1 else path.with_name(f"{path.stem}-{rater + 1}{path.suffix}")
        _write_page(rows, file) if path.suffix.lower() == ".html" else _write_csv(rows, file)
        files.append(file)
    if path.suffix.lower() == ".csv":
        files.append(path.with_name(f"{path.stem}-instructions.txt"))
        with replacing(files[-1]) as partial:
            questions = "\n".join(f"{name}: {question}" for name, question in QUESTIONS.items())
            partial.write_text(f"{INSTRUCTIONS}\n\n{questions}\n", encoding="utf-8")
    return files


def intended(coded: Coded) -> list[str]:
    """Return whether each text is meant to be emotional, factual or neither: by its style, or by the rules."""
    if coded.by == "rules":
        return coded.level("appeal")
    return ["factual" if style in _FACTUAL_STYLES else "emotional" if style == "emotional" else "neither"
            for style in coded.level(STYLE.name)]  # fmt: skip


def balanced(kinds: Sequence[str], many: int, rng: random.Random) -> list[int]:
    """Return the numbers of some of those that have kinds, as many of each as can be."""
    groups = defaultdict(list)
    for number in rng.sample(range(len(kinds)), len(kinds)):
        groups[kinds[number]].append(number)
    found: list[int] = []
    while len(found) < min(many, len(kinds)):
        for kind in sorted(groups):
            if groups[kind] and len(found) < many:
                found.append(groups[kind].pop())
    return found


def _write_csv(rows: Sequence[tuple[str, str]], path: Path) -> None:
    with replacing(path) as partial, partial.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows([["id", "text", *QUESTIONS], *([*row, *[""] * len(QUESTIONS)] for row in rows)])


def _write_page(rows: Sequence[tuple[str, str]], path: Path) -> None:
    page = environment().get_template("rater_sheet.html.j2")
    marks = range(SCALE[0], SCALE[1] + 1)
    write_page(page.render(rows=rows, questions=QUESTIONS, instructions=INSTRUCTIONS, marks=marks), path)


def read_ratings(files: Sequence[Path], texts: Sequence[str]) -> Ratings:
    """Return what raters said.

    Parameters
    ----------
    files : sequence of Path
        Tables with the columns id and one or more of `QUESTIONS`; a file is one rater's, unless its column ``rater``
        says whose a row is. Empty cells are unrated.
    texts : sequence of str
        Those that the sheets were made of.

    Raises
    ------
    InputError
        If an id is unknown or there twice, a mark is not on the scale, or nobody is left who counts.
    """
    known = {sheet_id(text): number for number, text in enumerate(texts)}
    checks = {sheet_id(text): mark for text, mark in _CHECKS.items()}
    answers: dict[str, dict[str, dict[str, float]]] = {}
    for path in files:
        for rater, key, said in _rows(path, known.keys() | checks.keys()):
            own = answers.setdefault(rater, {})
            if key in own:
                raise InputError(f"{path.name} has {key} twice of {rater}; leave one, or name the raters in a column "
                                 "'rater'")  # fmt: skip
            own[key] = said
    left_out = {rater: why for rater, own in answers.items() if (why := _why_not(own, checks))}
    raters = tuple(rater for rater in answers if rater not in left_out)
    if not raters:
        raise InputError(f"nobody is left who counts: {'; '.join(f'{rater} {why}' for rater, why in left_out.items())}")
    rated = sorted({known[key] for rater in raters for key in answers[rater] if key in known and answers[rater][key]})
    marks: dict[str, Array] = {name: np.full((len(raters), len(rated)), np.nan) for name in QUESTIONS}
    places = {number: place for place, number in enumerate(rated)}
    unrated = 0
    for row, rater in enumerate(raters):
        asked = {name for own in answers[rater].values() for name in own}
        for key, given in answers[rater].items():
            if key in known:
                unrated += len(asked) - len(given)
                for name, mark in given.items():
                    marks[name][row, places[known[key]]] = mark
    return Ratings(raters, np.array(rated), marks, left_out, unrated)


def _rows(path: Path, known: Any) -> list[tuple[str, str, dict[str, float]]]:
    """Return (rater, id, marks by question) of a file's rows."""
    file = open_table(path, wanted=["id"])
    asked = [name for name in QUESTIONS if name in file.columns]
    if "id" not in file.columns or not asked:
        raise InputError(f"{file.name} is no filled-in sheet: it needs the columns id and {' or '.join(QUESTIONS)}; it "
                         f"has {', '.join(file.columns)}")  # fmt: skip
    table = read_table(file, ["id", *asked], optional=["rater"])
    cells = {name: [None if value is None else str(value) for value in table[name].to_pylist()]
             for name in table.column_names}  # fmt: skip
    whose = cells.get("rater", [path.stem] * table.num_rows)
    numbers = {name: parse_numbers(cells[name], whole=True) for name in asked}
    found = []
    for row, key in enumerate(cells["id"]):
        if key not in known:
            raise InputError(f"{file.name}, row {row + 1}: there is no text {key!r} in this log; give the log that the "
                             "sheet was made of, with the same settings")  # fmt: skip
        marks = {}
        for name in asked:
            if is_missing(cells[name][row]):
                continue
            mark = numbers[name][row]
            if mark not in range(SCALE[0], SCALE[1] + 1):
                raise InputError(f"{file.name}, row {row + 1}: {name} is {cells[name][row]!r}; give a whole number "
                                 f"from {SCALE[0]} to {SCALE[1]}, or leave it empty")  # fmt: skip
            marks[name] = float(mark)
        found.append((whose[row] or path.stem, str(key), marks))
    return found


def _why_not(answers: Mapping[str, Mapping[str, float]], checks: Mapping[str, int]) -> str | None:
    """Return why a rater does not count; None if there is no reason."""
    marks = Counter(mark for key, own in answers.items() if key not in checks for mark in own.values())
    if not marks:
        return "rated nothing"
    if len(marks) == 1 and marks.total() >= _ALIKE:
        return f"marked {int(next(iter(marks)))} everywhere"
    wrong = [key for key, mark in checks.items() if any(abs(own - mark) > 1 for own in answers.get(key, {}).values())]
    return _UNREAD if wrong else None


def compare(ratings: Ratings, coded: Coded, seed: int = 0) -> dict[str, Any]:
    """Return how far raters agree, and whether texts are perceived as they are coded.

    Agreement is Krippendorff's alpha for interval scales, its interval by resampling texts. Differences of mean ratings
    come with intervals by resampling raters and texts.

    Parameters
    ----------
    ratings : Ratings
    coded : Coded
        Of all texts of the log.
    seed : int
    """
    rng = np.random.default_rng(seed)
    kinds = {"appeal": intended(coded)}
    if any(one.name == "wording" for one in coded.attributes):
        kinds["wording"] = coded.level("wording")
    kinds = {name: [own[number] for number in ratings.texts] for name, own in kinds.items()}
    perceived = [_perceived(ratings, question, attribute, kinds[attribute], high, low, rng)
                 for question, attribute, high, low in _PAIRS if attribute in kinds]  # fmt: skip
    return {
        "raters": len(ratings.raters), "texts": len(ratings.texts), "unrated": ratings.unrated,
        "left_out": ratings.left_out,
        "agreement": [{"question": name, **_agreement(marks, rng)} for name, marks in ratings.marks.items()
                      if np.isfinite(marks).any()],
        "perceived": [row for row in perceived if row],
        "rank_correlation": _correlation(ratings.marks["emotional"], coded.emotion[ratings.texts], rng),
    }  # fmt: skip


def _agreement(marks: Array, rng: np.random.Generator) -> dict[str, Any]:
    try:
        from krippendorff import alpha
    except ImportError:
        raise InputError(
            "agreement of raters needs krippendorff; install it with: pip install 'copyloom[raters]'"
        ) from None

    def agreed(some: Array) -> float:
        """Return alpha; NaN where nobody rated a text that another did, or all marks are alike."""
        if len(some) < 2 or not (np.isfinite(some).sum(0) > 1).any() or len(np.unique(some[np.isfinite(some)])) < 2:
            return float("nan")
        return float(alpha(reliability_data=some, level_of_measurement="interval"))

    found = agreed(marks)
    if not np.isfinite(found):
        return {"alpha": None, "interval": None, "mean": float(np.nanmean(marks))}
    many = marks.shape[1]
    samples = np.array([agreed(marks[:, rng.integers(many, size=many)]) for _ in range(_RESAMPLES)])
    samples = samples[np.isfinite(samples)]
    return {"alpha": found, "interval": bounds(samples) if len(samples) else None, "mean": float(np.nanmean(marks))}


def _perceived(
    ratings: Ratings, question: str, attribute: str, kinds: Sequence[str], high: str, low: str, rng: np.random.Generator
) -> dict[str, Any] | None:
    """Return by how much texts of one level are rated above those of another."""
    marks = ratings.marks[question]
    rated = np.isfinite(marks).any(0)
    places = [np.flatnonzero(rated & np.array([kind == level for kind in kinds])) for level in (high, low)]
    if min(map(len, places)) < 2:
        return None
    samples = []
    for _ in range(4 * _RESAMPLES):
        raters = rng.integers(len(marks), size=len(marks))
        drawn = [marks[np.ix_(raters, rng.choice(some, len(some)))] for some in places]
        if all(np.isfinite(some).any() for some in drawn):
            samples.append(float(np.nanmean(drawn[0]) - np.nanmean(drawn[1])))
    means = [float(np.nanmean(marks[:, some])) for some in places]
    interval = bounds(np.array(samples))
    told = (
        "perceived so"
        if interval[0] > 0
        else "perceived the other way round"
        if interval[1] < 0
        else "not enough evidence yet"
    )
    return {"question": question, "attribute": attribute, "high": high, "low": low, "texts": list(map(len, places)),
            "means": means, "difference": means[0] - means[1], "interval": interval, "verdict": told}  # fmt: skip


def _correlation(marks: Array, emotion: Array, rng: np.random.Generator) -> dict[str, Any] | None:
    """Return the rank correlation of how emotional texts are coded and how emotional they are found."""
    rated = np.flatnonzero(np.isfinite(marks).any(0))
    if len(rated) < 3 or len(np.unique(emotion[rated])) < 2:
        return None
    means = np.nanmean(marks[:, rated], axis=0)
    if len(np.unique(means)) < 2:
        return None
    samples = []
    for _ in range(_RESAMPLES):
        drawn = rng.integers(len(rated), size=len(rated))
        if min(len(np.unique(means[drawn])), len(np.unique(emotion[rated][drawn]))) > 1:
            samples.append(float(spearmanr(means[drawn], emotion[rated][drawn]).statistic))
    return {"value": float(spearmanr(means, emotion[rated]).statistic), "interval": bounds(np.array(samples)),
            "texts": len(rated)}  # fmt: skip
