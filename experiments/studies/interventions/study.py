"""``copyloom study interventions``: one wish carried out at the point, in layers and in heads, at equal effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from copyloom import Report
from embeddings.space import Space
from embeddings.steering import adapter_of
from embeddings.summary import SummaryEmbedding
from experiments.bootstrap import Resampled, bounds
from experiments.explorer.interventions import read_states
from experiments.held_out import hashed, held_out_claims
from experiments.studies.interventions.kept import Kept
from experiments.studies.interventions.matching import COST, EFFECT, MEASURES, Curve, compared, cost_of
from experiments.studies.interventions.measuring import Judge, Outcome
from experiments.studies.interventions.settings import InterventionStudy
from experiments.studies.interventions.ways import (
    LEFT,
    METHODS,
    POINT,
    UNITS,
    Learnt,
    Way,
    carry_out,
    first_strengths,
    learn,
    places,
    random_strengths,
    strengths,
)
from experiments.styles import paired_claims
from generator.decoding import Decoded
from generator.grammar import Claim, Grammar
from generator.interventions import head_projections, heads_of

GRAMMAR = "grammar"
FORMAT = 1
"""Of kept outcomes; another one where the same way gives others."""
NOTE = (
    "Directions come from claims in half of the frames, layers and strengths from texts of the validation, figures "
    "from others, held out. Texts are decoded greedily, once; no search and no check stands behind any method. "
    "Intervals are over texts, 95 % for one comparison; they hold neither which examples nor which random directions "
    "were drawn."
)


@dataclass(frozen=True, eq=False)
class _Part:
    """Texts that are asked for all wishes: those on which settings are chosen, or those that are measured."""

    name: str
    claims: Sequence[Claim]
    stored: Sequence[SummaryEmbedding]


@dataclass(frozen=True, eq=False)
class _Bench:
    """All that ways are measured with."""

    space: Space
    settings: InterventionStudy
    learnt: Sequence[Learnt]
    judge: Judge
    kept: Kept

    def outcomes(self, part: _Part, way: Way) -> list[Outcome]:
        """Return what becomes of a part's texts, wish by wish."""
        found: list[Outcome] = []
        for number, one in enumerate(self.learnt):
            seed = self.settings.seed * 1000 + number

            def measure(one: Learnt = one, seed: int = seed) -> list[Outcome]:
                decoded = carry_out(self.space, part.stored, way, one, seed)
                return self.judge.outcomes(part.claims, one.wish, decoded)

            found += self.kept.get(part.name, way, one.wish, measure)
        return found

    def curve(self, part: _Part, ways: Sequence[Way]) -> Curve:
        """Return the dose-response curve of ways that differ in strength, from the texts as they were."""
        every = [self.outcomes(part, way) for way in (Way(LEFT, "", 0.0), *ways)]
        return Curve(np.array([0.0, *(way.strength for way in ways)]),
                     {name: np.array([columns(some)[name] for some in every]) for name in MEASURES})  # fmt: skip


def measure(settings: InterventionStudy, folder: Path, device: str, report: Report) -> tuple[dict[str, Any], list[Any]]:
    """Return all that the command prints, and a row for each held-out text, wish and way.

    Outcomes are kept in `folder` way by way, so that a study that was stopped goes on.

    Parameters
    ----------
    settings : InterventionStudy
    folder : Path
    device : str
    report : callable

    Raises
    ------
    InputError
        If the model has no adapter, or lacks the layers and heads that are shifted.
    """
    space = Space.load(settings.model, device)
    adapter_of(space)
    bench, validation, test = _bench(space, settings, folder, report)
    layers = len(head_projections(space.model))
    tried = places(settings, layers, layers * heads_of(space.model))
    chosen, choices = _chosen(bench, validation, tried, report)
    curves, ways = _measured(bench, test, chosen, report)
    groups = np.tile(np.arange(len(test.claims)), len(settings.wishes))
    rows = [_row(bench, test, way, curves, settings.target, groups) for way in chosen.values()]
    doses = [_dose(way, bench.outcomes(test, way), groups) for way in ways]
    real = _by_the_grammar(bench, test)
    found = {
        "texts": len(test.claims), "validation": len(validation.claims), "wishes": list(settings.wishes),
        "model": space.model.name, "device": space.model.device.type, "fluency_by": bench.judge.name,
        "readable_up_to": bench.judge.limit, "judge_accuracy": bench.judge.accuracy, "target": settings.target,
        "settings": settings.model_dump(), "methods": rows, "doses": doses, "places": choices,
        GRAMMAR: _means(real, groups), "samples": _samples(bench, test, chosen), "note": NOTE,
    }  # fmt: skip
    return found | {"verdict": verdict(found)}, [*_texts(bench, test, ways)]


def columns(outcomes: Sequence[Outcome]) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return each measure of outcomes, (N,)."""
    found = {name: np.array([float(getattr(one, name)) for one in outcomes]) for name in MEASURES if name != COST}
    return found | {COST: cost_of(found["cosine"], found["true"], found["excess"])}


def verdict(found: dict[str, Any]) -> str:
    """Return in a sentence or two which way costs least at equal effect, and which default that favours."""
    able = sorted((row for row in found["methods"] if row["reached"]), key=lambda row: row[COST])
    never = [row["name"] for row in found["methods"] if not row["reached"]]
    effect = f"{found['target']:.0%} of texts in the wished style and readable"
    if not able:
        return f"No method brings {effect}."
    said = f"At equal effect, {effect}, {able[0]['name']} ({able[0]['place']}) costs least"
    ours = next(row for row in found["methods"] if row["method"] == POINT)
    if not ours["reached"]:
        said += f"; {ours['name']}, the default, does not reach it, so the evidence favours a change"
    elif able[0] is ours:
        others = [row for row in able[1:] if row["cost_above_ours_interval"][0] <= 0]
        said += ": the default stays" + (
            f", though it is not told apart from {_listed(row['name'] for row in others)}" if others else ""
        )
    else:
        best, (low, high) = able[0], able[0]["cost_above_ours_interval"]
        said += (f": {best[COST]:.2f} beside {ours[COST]:.2f} of {ours['name']}, {best['cost_above_ours']:+.2f} "
                 f"({low:+.2f} to {high:+.2f}); ")  # fmt: skip
        said += ("the evidence favours it as default" if high < 0 else
                 f"they are not told apart, so the default, {ours['name']}, stays")  # fmt: skip
    return f"{said}.{f' Not reached by {_listed(never)}.' if never else ''}"


def _listed(names: Any) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _bench(space: Space, settings: InterventionStudy, folder: Path, report: Report) -> tuple[_Bench, _Part, _Part]:
    grammar = Grammar.load()
    learn_frames, judge_frames = frames_apart(grammar)
    examples = paired_claims(grammar.styles, settings.products, f"interventions {settings.seed}", frames=learn_frames)
    others = paired_claims(grammar.styles, settings.products, f"judge {settings.seed}", frames=judge_frames)
    claims = _asked(grammar, settings)
    stored = space.invert([claim.text for claim in claims], None, lambda done, all_: report("inverting", done, all_))
    states = read_states(space, [claim.text for claim in examples], report)
    report("finding directions", 0, 1)
    learnt = [learn(space, examples, states, wish) for wish in settings.wishes]
    judge = Judge(space, others, settings.wishes)
    first = settings.validation
    parts = _Part("validation", claims[:first], stored[:first]), _Part("test", claims[first:], stored[first:])
    identity = f"{FORMAT} {space.identity} {settings.model_dump(exclude={'layers', 'strengths', 'ranges', 'target'})}"
    return _Bench(space, settings, learnt, judge, Kept(folder, identity)), *parts


def frames_apart(grammar: Grammar) -> tuple[set[str], set[str]]:
    """Return the frames that directions may be learnt from and those that texts are judged with: half of each style."""
    halves: tuple[set[str], set[str]] = (set(), set())
    for style in grammar.styles:
        own = sorted((frame.text for frame in grammar.frames if frame.style == style), key=hashed)
        for place, text in enumerate(own):
            halves[place % 2].add(text)
    return halves


def _asked(grammar: Grammar, settings: InterventionStudy) -> list[Claim]:
    """Return held-out claims in none of the wished styles, those of the validation first."""
    need = settings.validation + settings.texts
    drawn = round(1.2 * need / (1 - len(settings.wishes) / len(grammar.styles)))
    while True:
        found = [claim for claim in held_out_claims(grammar, drawn) if claim.frame.style not in settings.wishes]
        if len(found) >= need:
            return found[:need]
        drawn *= 2


def _chosen(
    bench: _Bench, part: _Part, tried: dict[str, list[str]], report: Report
) -> tuple[dict[str, Way], list[dict[str, Any]]]:
    """Return each method at the place and strength that cost least at the target, and what each place cost."""
    total, done = sum(map(len, tried.values())), 0
    chosen, rows = dict[str, Way](), list[dict[str, Any]]()
    for method, some in tried.items():
        found = list[dict[str, Any]]()
        for place in some:
            report("choosing layers and strengths", done, total)
            done += 1
            ways = [Way(method, place, one) for one in first_strengths(bench.settings, method)]
            means, reached = bench.curve(part, ways).at(bench.settings.target)
            found.append({"method": method, "name": METHODS[method], "place": place, "reached": reached,
                          "strength": means["strength"], **{name: means[name] for name in MEASURES}})  # fmt: skip
        best = min(found, key=lambda row: (not row["reached"], row[COST] if row["reached"] else -row[EFFECT]))
        chosen[method] = Way(method, best["place"], round(best["strength"], 4))
        rows += [row | {"chosen": row is best} for row in found]
    report("choosing layers and strengths", total, total)
    return chosen, rows


def _measured(
    bench: _Bench, part: _Part, chosen: dict[str, Way], report: Report
) -> tuple[dict[tuple[str, bool], Curve], list[Way]]:
    """Return the dose-response curve of each method, and of its random direction, and all ways of them."""
    curves, every = dict[tuple[str, bool], Curve](), [Way(LEFT, "", 0.0)]
    for number, (method, way) in enumerate(chosen.items()):
        for random in (False, True):
            report("measuring", 2 * number + random, 2 * len(chosen))
            doses = sorted({*strengths(bench.settings, method), way.strength})
            doses = random_strengths(bench.settings, way) if random else doses
            ways = [replace(way, strength=dose, random=random) for dose in doses]
            curves[method, random] = bench.curve(part, ways)
            every += ways
    report("measuring", 1, 1)
    return curves, every


def _row(
    bench: _Bench, part: _Part, way: Way, curves: dict[tuple[str, bool], Curve], target: float, groups: Any
) -> dict[str, Any]:
    """Return a method's row of the table: at equal effect, as it was set on other texts, and its random direction."""
    row = {"method": way.method, "name": METHODS[way.method], "place": way.place, "unit": UNITS[way.method],
           **compared(curves[way.method, False], curves[POINT, False], target, groups),
           "set_strength": way.strength}  # fmt: skip
    as_set = _means(bench.outcomes(part, way), groups)
    random = _means(bench.outcomes(part, replace(way, random=True)), groups)
    return row | {"as_set": as_set, "random": random}


def _dose(way: Way, outcomes: Sequence[Outcome], groups: Any) -> dict[str, Any]:
    return {"method": way.method, "name": METHODS.get(way.method, "as it was"), "place": way.place,
            "random": way.random, "strength": way.strength, **_means(outcomes, groups)}  # fmt: skip


def _means(outcomes: Sequence[Outcome], groups: Any) -> dict[str, Any]:
    """Return the mean of each measure with its interval over texts."""
    samples, found = Resampled(groups), dict[str, Any]()
    for name, values in columns(outcomes).items():
        found[name], found[f"{name}_interval"] = float(values.mean()), bounds(samples.means(values))
    return found


def _by_the_grammar(bench: _Bench, part: _Part) -> list[Outcome]:
    """Return what becomes of the texts where the grammar writes a claim in the wished style about the same product."""
    grammar, rng, found = Grammar.load(), Random("by the grammar"), list[Outcome]()
    for wish in bench.settings.wishes:
        texts = [grammar.claim(rng, claim.record, wish).text for claim in part.claims]
        found += bench.judge.outcomes(part.claims, wish, [Decoded(text, (), True, 0.0) for text in texts])
    return found


def _samples(bench: _Bench, part: _Part, chosen: dict[str, Way], count: int = 8) -> list[dict[str, Any]]:
    """Return what the first texts became with each method as it was set, and with its random direction."""
    found = []
    texts = {name: bench.outcomes(part, way) for name, way in chosen.items()}
    wishes, each = bench.settings.wishes, len(part.claims)
    for row in range(min(count, each)):
        wish = row % len(wishes)
        found.append({"text": part.claims[row].text, "style": part.claims[row].frame.style, "wish": wishes[wish],
                      **{name: some[wish * each + row].text for name, some in texts.items()}})  # fmt: skip
    return found


def _texts(bench: _Bench, part: _Part, ways: Sequence[Way]) -> Iterator[dict[str, Any]]:
    for way in ways:
        outcomes = bench.outcomes(part, way)
        for place, one in enumerate(outcomes):
            wish, row = divmod(place, len(part.claims))
            yield {"method": way.method, "place": way.place, "strength": way.strength, "random": way.random,
                   "wish": bench.settings.wishes[wish], "left": part.claims[row].text, **one.row}  # fmt: skip
