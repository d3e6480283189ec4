"""The report of a run: one HTML page that a marketing person understands and that opens without a network."""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from copyloom import InputError
from embeddings.folders import replacing
from experiments.reports import plots
from experiments.reports.plots import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REASONS = {
    "length": "too short or too long",
    "repetition": "says the same words twice",
    "repeated word": "says a word more often than the texts that it was made of",
    "article": "has “a” where “an” must stand, or the other way round, or two such words side by side",
    "capital": "has a capital letter within a sentence",
    "another product": "is about another product than the texts that it was made of",
    "another style": "has another style than the texts that it was made of",
    "unfinished": "not a finished sentence",
    "copy": "the same words as a stored text, so nothing new",
    "concatenation": "contains a whole stored text",
    "mixed facts": "says of one product what is true of two",
    "banned": "uses a word that the brand bans",
    "brand pattern": "matches a pattern that the brand bans",
    "brand claim": "makes a kind of claim that the brand does not make",
    "brand word": "lacks a word that the brand wants",
    "brand length": "is shorter or longer than the brand allows",
    "off subject": "does not name the product",
    "foreign attribute": "claims something that the product's record does not say",
    "invented number": "contains a number that the product's record does not have",
    "unknown word": "uses a word from neither the product's record nor a known sentence pattern",
    "unfit": "nothing that the writer wrote was fit to print",
    "slot": "needs a fact that the product's record does not have",
    "opening": "begins with a mark that no stored text begins with",
    "agreement": "does not agree in number with the product's name, or lacks a thing behind a with",
}
"""What each code of a refusal means, in plain words."""

_UNCLEAR = "Not enough evidence yet"
_OPTIONAL = ("best_possible_ctr", "share_of_gap", "subject")


@dataclass(frozen=True)
class Change:
    """A relative difference in clicks, how sure we are of it, and both in words.

    Parameters
    ----------
    mean : float, optional
    interval : (float, float), optional
        95 % interval over seeds; none where there are too few to tell.

    Examples
    --------
    >>> change = Change(0.18, (0.12, 0.24))
    >>> change.verdict, change.size("clicks").replace(chr(160), " ")
    ('more', '18 % more clicks')
    >>> Change(0.02, (-0.01, 0.05)).verdict
    'unclear'
    """

    mean: float | None
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, mean: float | None, interval: Sequence[float | None] | None, seeds: int) -> Change:
        """Return the change; one seed has no interval, whatever was passed."""
        low, high = interval if interval else (None, None)
        known = seeds > 1 and low is not None and high is not None
        return cls(mean, (low, high) if known else None)  # type: ignore[arg-type]

    @property
    def verdict(self) -> Literal["more", "fewer", "unclear"]:
        """Whether zero lies below, above or inside the interval."""
        if self.mean is None or self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "unclear"
        return "more" if self.interval[0] > 0 else "fewer"

    @property
    def digits(self) -> int:
        """Decimals worth showing: no more than the interval knows, enough to tell its ends from zero."""
        if self.interval is None:
            return 0
        low, high = self.interval
        for digits in (0, 1):
            vanishes = any(end and abs(end) < 0.005 * 10**-digits for end in self.interval)
            if (high - low) / 2 >= 0.02 * 10**-digits and not vanishes:
                return digits
        return 2

    def size(self, of: str) -> str:
        """Return the difference as "18 % more" of something."""
        if self.mean is None:
            return "–"
        return f"{percent(abs(self.mean), self.digits)} {'fewer' if self.mean < 0 else 'more'} {of}"

    def signed(self) -> str:
        """Return the difference as "+18 %"."""
        shown = percent(self.mean, self.digits)
        return f"+{shown}" if self.mean and self.mean > 0 else shown

    def sure(self, seeds: int) -> str:
        """Return the interval in words."""
        if self.interval is None:
            return "no interval" if seeds > 1 else "no interval: one campaign cannot show how results vary"
        low, high = (percent(end, self.digits) for end in self.interval)
        return f"95\u00a0% interval over {seeds} seeds: {low} to {high}"


def headline(change: Change, seeds: int) -> str:
    """Return what the run showed, in one sentence.

    Examples
    --------
    >>> sentence = headline(Change(0.18, (0.12, 0.24)), 24).replace(chr(160), " ")
    >>> sentence[:75]
    'New mixed texts earned 18 % more clicks than the same policy without mixing'
    >>> sentence[76:]
    '(95 % interval 12 % to 24 %, 24 simulated campaigns).'
    """
    campaigns = f"{seeds} simulated campaign{'' if seeds == 1 else 's'}"
    if change.mean is None:
        return f"{_UNCLEAR}: this run compared nothing."
    result = f"{change.size('clicks')} than the same policy without mixing"
    if change.interval is None:
        return f"{_UNCLEAR}: campaigns with new mixed texts earned {result}, but in {campaigns} only."
    low, high = (percent(end, change.digits) for end in change.interval)
    if change.verdict == "unclear":
        span = f"the 95\u00a0% interval, {low} to {high} over {campaigns}, includes zero"
        return f"{_UNCLEAR}: campaigns with new mixed texts earned {result}, but {span}."
    return f"New mixed texts earned {result} (95\u00a0% interval {low} to {high}, {campaigns})."


def render_report(data: Mapping[str, Any]) -> str:
    """Return the report as one HTML page that loads nothing.

    Parameters
    ----------
    data : mapping
        ``summary``, ``curves``, ``uplift_by_seed``, ``control``, ``stored``, ``best_new``, ``refused``,
        ``map``, ``example`` and ``weights``, as a study collects them; all CTRs and shares are
        probabilities. ``control`` may be missing. Texts may hold anything: they are escaped.

    Raises
    ------
    InputError
        If one of them is missing.
    """
    needed = {
        "summary",
        "curves",
        "uplift_by_seed",
        "stored",
        "best_new",
        "refused",
        "map",
        "example",
        "weights",
    }
    if missing := needed - set(data):
        raise InputError(f"the report's data lack {', '.join(sorted(missing))}; run the study again")
    page: dict[str, Any] = {"control": None, **_finite(data)}
    summary = page["summary"] = {**dict.fromkeys(_OPTIONAL), **page["summary"]}
    seeds = summary["seeds"]
    uplift = Change.of(summary["uplift"], summary["uplift_interval"], seeds)
    over_best = Change.of(summary["uplift_over_best_stored"], summary["uplift_over_best_stored_interval"], seeds)
    control = page["control"]
    loss = Change.of(control["loss"], control["loss_interval"], seeds) if control else None
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            page,
            headline=headline(uplift, seeds),
            uplift=uplift,
            over_best=over_best,
            loss=loss,
            ladder=_ladder(summary),
            ladder_most=max((row[2] for row in _ladder(summary)), default=0.0),
            new_most=_scale(page["best_new"], "ctr_interval"),
            example_most=_scale(page["example"]["texts"], "high") if page["example"] else 0.0,
            reasons=sorted(page["refused"]["counts"].items(), key=lambda item: (-item[1], item[0])),
            config=list(_flat(summary["config"])),
        )
    )


def write_report(data: Mapping[str, Any], path: str | Path) -> None:
    """Write the report to `path`: the whole new page or, if anything fails, what was there before.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    write_page(render_report(data), Path(path))


def write_page(page: str, path: Path) -> None:
    """Write a page to `path`, whole or not at all.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    with replacing(path) as partial:
        partial.write_bytes(page.encode("utf-8", errors="replace"))


def embedded(picture: Path) -> str:
    """Return an SVG file as the address of an image that stands in the page itself."""
    return "data:image/svg+xml;base64," + b64encode(picture.read_bytes()).decode()


def pictured(figure: Figure) -> str:
    """Return a figure as `embedded` does its SVG file."""
    with TemporaryDirectory() as folder:
        with replacing(file := Path(folder) / "plot.svg") as new:
            figure.savefig(new, format="svg")
        return embedded(file)


def environment() -> Environment:
    """Return what the templates of all pages know."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates", encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(plots=plots, reason_words=REASONS)
    environment.filters.update(ctr=percent, percent=percent, chance=_chance, count=_count, plural=_plural)
    return environment


def _chance(value: float | None) -> str:
    """Return a probability, a tiny one as "< 0.1 %" and not as zero."""
    return "<\u00a00.1\u00a0%" if value and value < 0.0005 else percent(value, 1)


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _plural(value: float, noun: str) -> str:
    return f"{_count(value)} {noun}{'' if value == 1 else 's'}"


def _ladder(summary: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """Return (colour, name, CTR) of everything that was compared, best first."""
    rows = [
        ("loop", "With mixing: stored texts and new ones", summary["ctr_loop"]),
        ("off", "Without mixing: the same policy, stored texts only", summary["ctr_mixing_off"]),
        ("best", "Best stored text, had we known it from the start", summary["ctr_best_stored"]),
        ("uniform", "All stored texts alike, nothing learned", summary["ctr_uniform"]),
        ("possible", "Best text that could be written, a ceiling", summary["best_possible_ctr"]),
    ]
    return sorted((row for row in rows if row[2] is not None), key=lambda row: -row[2])


def _scale(rows: Sequence[Mapping[str, Any]], key: str) -> float:
    """Return the end of a common scale for intervals: the widest tenth may reach beyond it."""
    highs = [row[key][1] if isinstance(row[key], (list, tuple)) else row[key] for row in rows if row.get(key)]
    highs = sorted(high for high in highs if high is not None)
    return highs[math.ceil(0.9 * len(highs)) - 1] * 1.05 if highs else 0.0


def _flat(config: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (dotted key, value) of a nested configuration."""
    if isinstance(config, Mapping) and config:
        for key, value in config.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(config, (list, tuple)):
        yield path, ", ".join(map(str, config)) or "none"
    else:
        yield path, "none" if config is None or config == {} else str(config)


def _finite(value: Any) -> Any:
    """Return `value` with None in place of every number that is not finite."""
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
