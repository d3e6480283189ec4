"""Plots of the report: numbers in, inline SVG out.

Every plot is drawn twice, for wide and for narrow windows; the page's style sheet shows one of the two and
gives the colours, so that plots follow the light and the dark scheme.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup, escape

Points = Sequence[tuple[float, float]]

LARGEST_PARENTS = 6
"""Parents with an area of their own; safe colours for more do not exist."""

_LINE_HEIGHT = 17
_TALLEST = 2.0


class Size(NamedTuple):
    """Which windows a drawing is for, and its width and height in SVG units."""

    name: str
    width: float
    height: float


@dataclass(frozen=True)
class Frame:
    """The data range of a plot and where it lies on the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]
    left: float
    right: float
    top: float
    bottom: float

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the place of a data point on the drawing.

        Examples
        --------
        >>> Frame(x=(0, 10), y=(0, 1), left=100, right=200, top=0, bottom=50).at(5, 1)
        (150.0, 0.0)
        """
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1)
        return self.left + across * (self.right - self.left), self.bottom - up * (self.bottom - self.top)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return at most `most` round numbers from `low` to `high`.

    Examples
    --------
    >>> ticks(0, 40_000, 5)
    [0.0, 10000.0, 20000.0, 30000.0, 40000.0]
    """
    if not high > low:
        return [low]
    power = 10 ** math.floor(math.log10((high - low) / most))
    steps = (power * factor for factor in (1, 2, 2.5, 5, 10, 20))
    step = next(step for step in steps if (high - low) / step <= most - 1 + 1e-9)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(float(i * step), 12) for i in range(first, last + 1)]


def percent(value: float | None, digits: int = 2) -> str:
    r"""Return a share as people read it, a dash where there is none.

    Examples
    --------
    >>> percent(0.0234), percent(-0.05, 0), percent(-0.00001), percent(None)
    ('2.34\xa0%', '−5\xa0%', '0.00\xa0%', '–')
    """
    if value is None:
        return "–"
    shown = f"{100 * value:.{digits}f}"
    if not float(shown):
        shown = shown.removeprefix("-")
    return shown.replace("-", "−") + "\u00a0%"


def ctr_curves(curves: Mapping[str, Any]) -> Markup:
    """Return the CTR over impressions: two policies with their bands, reference lines with their names."""
    bands = [("loop", "With mixing", curves["loop"]), ("off", "Without mixing", curves["mixing_off"])]
    lines = [
        (css, name, curves.get(key))
        for css, name, key in (
            ("possible", "Best possible", "best_possible"),
            ("best", "Best stored text", "best_stored"),
            ("uniform", "All texts alike", "uniform"),
        )
    ]
    return rate_curves(curves["impressions"], bands, [(css, name, y) for css, name, y in lines if y is not None])


def rate_curves(
    impressions: Sequence[float], curves: Sequence[tuple[str, str, Mapping[str, Any]]],
    references: Sequence[tuple[str, str, float]] = (),
) -> Markup:  # fmt: skip
    """Return rates over impressions with their bands, and lines to compare them with.

    Parameters
    ----------
    impressions : sequence of float
    curves : sequence of (colour, name, curve)
        A curve holds ``mean``, ``low`` and ``high``, one number for each of `impressions`. Bands are cut off at
        `_TALLEST` times the highest mean: what little was shown is known so badly that nothing else could be seen.
    references : sequence of (colour, name, rate)
    """
    x = [float(value) for value in impressions]
    lines = [(css, name, float(y)) for css, name, y in references]
    known = [(css, name, _series(x, curve)) for css, name, curve in curves]
    most = _TALLEST * max([y for _, _, (mean, _) in known for _, y in mean], default=0.0)
    bands = [(css, name, (mean, [(at, min(y, most)) for at, y in band])) for css, name, (mean, band) in known]
    heights = [y for _, _, (mean, band) in bands for _, y in (*mean, *band)] + [y for _, _, y in lines]
    if not x or not any(mean for _, _, (mean, _) in bands):
        return _nothing("no rounds to plot")
    ends = [(name, mean[-1][1]) for _, name, (mean, _) in bands if mean] + [(name, y) for _, name, y in lines]
    in_words = "; ".join(f"{name} {percent(y)}" for name, y in ends)
    label = f"Line plot of clicks per impression over impressions. At the end: {in_words}"
    return _responsive(lambda size: _draw_curves(size, x, bands, lines, _padded(heights), label), 360)


def _draw_curves(
    size: Size,
    x: Sequence[float],
    bands: Sequence[tuple[str, str, tuple[Points, Points]]],
    references: Sequence[tuple[str, str, float]],
    heights: tuple[float, float],
    label: str,
) -> Markup:
    frame = Frame((0.0, max(x)), heights, 58, size.width - 130, 34, size.height - 46)
    names = "Impressions in one campaign", "Clicks per impression (CTR)"
    parts = [_axes(frame, size, *names, _percent_ticks(frame.y))]
    ends = []
    for css, name, y in references:
        parts.append(_path(frame, [(0, y), (frame.x[1], y)], f"line {css}"))
        ends.append((css, name, frame.at(0, y)[1]))
    for css, _, (_, band) in bands:
        parts.append(_path(frame, band, f"band {css}", closed=True))
    for css, name, (mean, _) in reversed(bands):
        if mean:
            parts.append(_path(frame, mean, f"line {css}"))
            ends.append((css, name, frame.at(*mean[-1])[1]))
    parts.append(_end_labels(frame, ends))
    return _svg(size, label, parts)


def uplift_strip(values: Sequence[float], mean: float | None, interval: Sequence[float] | None, label: str) -> Markup:
    """Return one dot for each campaign's uplift, and below them their mean with its interval.

    Parameters
    ----------
    values : sequence of float
        Relative uplift of each seed.
    mean : float, optional
    interval : (low, high), optional
    label : str
        The mean and interval in words, written under them.
    """
    if not values:
        return _nothing("no campaigns to plot")
    everything = [0.0, *values, *(interval or []), *([] if mean is None else [mean])]
    span = _padded(everything)
    return _responsive(lambda size: _draw_strip(size, values, mean, interval, label, span), 230, 240)


def _draw_strip(
    size: Size,
    values: Sequence[float],
    mean: float | None,
    interval: Sequence[float] | None,
    label: str,
    span: tuple[float, float],
) -> Markup:
    frame = Frame(span, (0, 1), 20, size.width - 20, 30, size.height - 46)
    middle, low_line = frame.top + 50, frame.bottom - 36
    zero = frame.at(0, 0)[0]
    name = "Difference in clicks, mixing against no mixing"
    parts = [_x_axis(frame, size, name, _percent_ticks(span, 7, plus=True))]
    line = Markup('<path class="zero" d="M{:.1f} {:.1f}V{:.1f}"/>')
    parts.append(line.format(zero, frame.top - 6, frame.bottom))
    anchor = "start" if zero < size.width / 2 else "end"
    parts.append(_text(zero + (5 if anchor == "start" else -5), frame.top - 8, "no difference", anchor, "muted"))
    for (x, y), value in _swarm(frame, values, middle):
        dot = Markup('<circle class="dot" cx="{:.1f}" cy="{:.1f}" r="5"><title>{}</title></circle>')
        parts.append(dot.format(x, y, percent(value, 1)))
    if interval:
        low, high = (frame.at(end, 0)[0] for end in interval)
        bar = Markup('<path class="interval" d="M{:.1f} {:.1f}H{:.1f}"/>')
        parts.append(bar.format(low, low_line, high))
    if mean is not None:
        x = frame.at(mean, 0)[0]
        diamond = Markup('<path class="mean" d="M{:.1f} {:.1f}l8 8l-8 8l-8 -8z"/>')
        parts.append(diamond.format(x, low_line - 8))
        room = 3.6 * len(label) + 4
        x = min(max(x, room), size.width - room)
        parts.append(_text(x, low_line + 25, label, "middle", "strong"))
    return _svg(size, f"One dot for each of {len(values)} campaigns. {label}", parts)


@dataclass(frozen=True)
class Layer:
    """One area of the stacked weights: its letter in plot and legend, its name or the text of its parent."""

    letter: str
    css: str
    name: str | None
    text: str | None
    values: list[float]

    @property
    def last(self) -> float:
        """The share in the last round."""
        return self.values[-1] if self.values else 0.0


def weight_layers(weights: Mapping[str, Any]) -> list[Layer]:
    """Return the areas of `weight_areas` from bottom to top; in every round they sum to 1.

    Negative weights cannot be drawn: they count as zero, and the others shrink to fit.
    """
    own = weights["parents"][:LARGEST_PARENTS]
    rest = [weights["others"], *(parent["weight"] for parent in weights["parents"][LARGEST_PARENTS:])]
    columns = [_positive(weights["stored_share"])]
    columns.append([sum(row) for row in zip(*map(_positive, rest), strict=False)])
    columns += [_positive(parent["weight"]) for parent in own]
    totals = [sum(row) or 1.0 for row in zip(*columns, strict=False)]
    shares = [[v / total for v, total in zip(column, totals, strict=False)] for column in columns]
    stored, others, *parents = shares
    return [
        Layer("S", "layer-stored", "stored texts, shown as they are", None, stored),
        Layer("O", "layer-others", "mixed texts: all other parents", None, others),
        *(
            Layer("ABCDEF"[i], f"layer-{i}", None, parent["text"], values)
            for i, (parent, values) in enumerate(zip(own, parents, strict=True))
        ),
    ]


def _positive(column: Iterable[float | None]) -> list[float]:
    return [max(value or 0.0, 0.0) for value in column]


def weight_areas(weights: Mapping[str, Any]) -> Markup:
    """Return stacked areas of what was shown, round by round: stored texts, and parents of mixed ones."""
    label = "Stacked areas of what was shown, stored texts and parents of mixed ones"
    return share_areas(weights["impressions"], weight_layers(weights), "Impressions in this campaign", label)


def share_areas(x: Sequence[float], layers: Sequence[Layer], x_name: str, label: str) -> Markup:
    """Return stacked areas of shares that sum to 1, from bottom to top, up to each of some places on the x axis."""
    if not x or any(len(layer.values) != len(x) for layer in layers):
        return _nothing("no rounds to plot")
    in_words = "; ".join(f"{layer.letter} {percent(layer.last, 0)}" for layer in layers)
    ends = [float(value) for value in x]
    return _responsive(lambda size: _draw_areas(size, ends, layers, x_name, f"{label}. At the end: {in_words}"), 330)


def _draw_areas(size: Size, x: Sequence[float], layers: Sequence[Layer], x_name: str, label: str) -> Markup:
    frame = Frame((0.0, max(x)), (0.0, 1.0), 58, size.width - 26, 34, size.height - 46)
    starts = [0.0, *x[:-1]]
    parts: list[Markup] = []
    letters: list[Markup] = []
    below = [0.0] * len(x)
    for layer in layers:
        above = [b + v for b, v in zip(below, layer.values, strict=True)]
        corners = [p for a, b, y in zip(starts, x, above, strict=True) for p in ((a, y), (b, y))]
        floor = [p for a, b, y in zip(starts, x, below, strict=True) for p in ((a, y), (b, y))]
        parts.append(_path(frame, [*corners, *reversed(floor)], f"area {layer.css}", closed=True))
        thickest = max((value, i) for i, value in enumerate(layer.values))[1]
        if layer.values[thickest] * (frame.bottom - frame.top) > 16:
            middle = (below[thickest] + above[thickest]) / 2
            px, py = frame.at((starts[thickest] + x[thickest]) / 2, middle)
            px = min(max(px, frame.left + 10), frame.right - 10)
            letters.append(_text(px, py + 5, layer.letter, "middle", "letter"))
        below = above
    shares = [(share, percent(share, 0)) for share in (0, 0.25, 0.5, 0.75, 1)]
    axes = _axes(frame, size, x_name, "Share of what was shown", shares)
    return _svg(size, label, [*parts, axes, *letters])


def space_map(points: Sequence[Mapping[str, Any]], lines: int = 3) -> Markup:
    """Return the map of the space: one mark a text, near each other where the meaning is near.

    Lines lead from the written texts that were shown most, so many of them, to their parents. A point may have a
    ``href``, and a ``label`` to stand beside it.
    """
    if not points:
        return _nothing("no texts to map")
    counts = {kind: sum(point["kind"].startswith(kind) for point in points) for kind in ("stored", "written")}
    label = f"Map of {counts['stored']} stored and {counts['written']} written texts by meaning"
    return _responsive(lambda size: _draw_map(size, points, lines, label), 560, 380)


def _draw_map(size: Size, points: Sequence[Mapping[str, Any]], lines: int, label: str) -> Markup:
    x, y = _padded([p["x"] for p in points]), _padded([p["y"] for p in points])
    scale = min((size.width - 40) / (x[1] - x[0]), (size.height - 40) / (y[1] - y[0]))
    across, up = scale * (x[1] - x[0]) / 2, scale * (y[1] - y[0]) / 2
    middle = size.width / 2, size.height / 2
    frame = Frame(x, y, middle[0] - across, middle[0] + across, middle[1] - up, middle[1] + up)
    most = max((p.get("shown") or 0.0 for p in points), default=0.0) or 1.0
    places = {p["text"]: frame.at(p["x"], p["y"]) for p in points}
    written = sorted((p for p in points if p["kind"].startswith("written")), key=lambda p: -(p.get("shown") or 0.0))
    line = Markup('<path class="lineage" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>')
    parts = [
        line.format(*places[p["text"]], *places[parent])
        for p in written[:lines]
        for parent in p.get("parents") or []
        if parent in places and (p.get("shown") or p["kind"] != "written")
    ]
    stored = sorted(
        (p for p in points if not p["kind"].startswith("written")), key=lambda p: p["kind"] != "stored, other"
    )
    parts += [_mark(p, frame.at(p["x"], p["y"]), most) for p in (*written, *stored)]
    parts += [_text(places[p["text"]][0] + 9, places[p["text"]][1] - 7, p["label"], "start", "letter")
              for p in points if p.get("label")]  # fmt: skip
    role = "group" if any(p.get("href") for p in points) else "img"  # an image has no links
    return _svg(size, label, parts, role)


def _mark(point: Mapping[str, Any], place: tuple[float, float], most: float) -> Markup:
    shown = point.get("shown") or 0.0
    title = f"{point['text']}\n{point['kind']}; {percent(shown, 1)} of impressions"
    if point.get("parents"):
        title += "\nmixed from: " + " + ".join(point["parents"])
    x, y = place
    if point["kind"] == "stored, other":
        shape = Markup('<circle class="pt other" cx="{:.1f}" cy="{:.1f}" r="4">{}</circle>')
        mark = shape.format(x, y, _title(title))
    elif point["kind"].startswith("written"):
        css = "written" if point["kind"] == "written" else "written waits"
        shape = Markup('<circle class="pt {}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}">{}</circle>')
        mark = shape.format(css, x, y, 3.5 + 9 * math.sqrt(min(shown / most, 1.0)), _title(title))
    else:
        shape = Markup('<path class="pt about" d="M{:.1f} {:.1f}l6 6l-6 6l-6 -6z">{}</path>')
        mark = shape.format(x, y - 6, _title(title))
    if not point.get("href"):
        return mark
    link = Markup('<a href="{}" tabindex="-1" aria-label="{}">{}</a>')  # a list beside the map leads there by keys
    return link.format(point["href"], point["text"], mark)


def _title(words: str) -> Markup:
    return Markup("<title>{}</title>").format(words)


def interval_bar(value: float | None, low: float | None, high: float | None, most: float, css: str = "") -> Markup:
    """Return a thin bar from `low` to `high` with a dot at `value`, on a scale from 0 to `most`.

    A bar that reaches beyond the scale ends in an arrow.
    """

    def place(share: float) -> float:
        return 2 + 96 * min(max(share / (most or 1.0), 0.0), 1.0)

    parts = [Markup('<line class="rail" x1="2%" x2="98%" y1="50%" y2="50%"/>')]
    if low is not None and high is not None:
        line = Markup('<line class="interval" x1="{:.2f}%" x2="{:.2f}%" y1="50%" y2="50%"/>')
        parts.append(line.format(place(low), place(high)))
        if high > most * 1.0001:
            parts.append(Markup('<text class="beyond" x="100%" y="50%" dy=".36em" text-anchor="end">›</text>'))
    if value is not None:
        parts.append(Markup('<circle class="mean" cx="{:.2f}%" cy="50%" r="4.5"/>').format(place(value)))
    label = percent(value) + (f", 95 % interval {percent(low)} to {percent(high)}" if low is not None else "")
    bar = Markup('<svg class="bar {}" role="img" aria-label="{}">{}</svg>')
    return bar.format(css, label, Markup("").join(parts))


def difference_bar(value: float, low: float, high: float, most: float, label: str) -> Markup:
    """Return a thin bar from `low` to `high` with a dot at `value`, on a scale from -`most` to `most`, 0 in the middle.

    A bar that reaches beyond the scale ends in an arrow; `label` says it in words.
    """

    def place(number: float) -> float:
        return 50 + 48 * min(max(number / (most or 1.0), -1.0), 1.0)

    parts = [Markup('<line class="rail" x1="2%" x2="98%" y1="50%" y2="50%"/>'),
             Markup('<line class="nought" x1="50%" x2="50%" y1="0" y2="100%"/>'),
             Markup('<line class="interval" x1="{:.2f}%" x2="{:.2f}%" y1="50%" y2="50%"/>').format(
                 place(low), place(high)),
             Markup('<circle class="mean" cx="{:.2f}%" cy="50%" r="4.5"/>').format(place(value))]  # fmt: skip
    for beyond, at, anchor, arrow in (
        (high > most * 1.0001, "100%", "end", "›"),
        (low < -most * 1.0001, "0", "start", "‹"),
    ):
        if beyond:
            end = Markup('<text class="beyond" x="{}" y="50%" dy=".36em" text-anchor="{}">{}</text>')
            parts.append(end.format(at, anchor, arrow))
    bar = Markup('<svg class="bar" role="img" aria-label="{}">{}</svg>')
    return bar.format(label, Markup("").join(parts))


def share_bar(share: float, css: str = "") -> Markup:
    """Return a bar as long as `share` of its width; a negative one is as long and marked by its class."""
    length = 100 * min(abs(share), 1.0)
    bar = Markup('<svg class="bar share{}" aria-hidden="true"><rect width="{:.1f}%" height="100%" rx="2"/></svg>')
    return bar.format((f" {css}" if css else "") + (" negative" if share < 0 else ""), length)


def _responsive(draw: Callable[[Size], Markup], height: float, narrow_height: float | None = None) -> Markup:
    return draw(Size("wide", 960, height)) + draw(Size("narrow", 380, narrow_height or height - 20))


def _nothing(why: str) -> Markup:
    return Markup('<p class="empty">Nothing to draw: {}.</p>').format(why)


def _svg(size: Size, label: str, parts: Iterable[Markup], role: str = "img") -> Markup:
    head = Markup('<svg class="plot {}" viewBox="0 0 {} {}" role="{}" aria-label="{}">').format(*size, role, label)
    return Markup("{}{}</svg>").format(head, Markup("").join(parts))


def _series(x: Sequence[float], curve: Mapping[str, Sequence[float | None]]) -> tuple[Points, Points]:
    """Return the points of the mean, and of the outline of the band around it."""
    mean = [(a, b) for a, b in zip(x, curve["mean"], strict=False) if b is not None]
    low = [(a, b) for a, b in zip(x, curve.get("low") or [], strict=False) if b is not None]
    high = [(a, b) for a, b in zip(x, curve.get("high") or [], strict=False) if b is not None]
    if len(mean) == 1:
        mean = [(0.0, mean[0][1]), *mean]
    return mean, [*low, *reversed(high)] if len(low) == len(high) > 1 else []


def _padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = share * (high - low) or abs(high) * 0.1 or 1.0
    return low - room, high + room


def _percent_ticks(span: tuple[float, float], most: int = 6, plus: bool = False) -> list[tuple[float, str]]:
    """Return ticks with labels that have just enough digits to differ."""
    values = ticks(*span, most)
    step = 100 * (values[1] - values[0]) if len(values) > 1 else 0.1
    digits = next((d for d in range(4) if math.isclose(round(step, d), step, rel_tol=1e-6)), 4)
    return [(v, ("+" if plus and v > 0 else "") + percent(v, digits)) for v in values]


def _axes(frame: Frame, size: Size, x_name: str, y_name: str, y_ticks: Sequence[tuple[float, str]]) -> Markup:
    parts = []
    for value, label in y_ticks:
        y = frame.at(0, value)[1]
        grid = Markup('<path class="grid" d="M{:.1f} {:.1f}H{:.1f}"/>')
        parts += [
            grid.format(frame.left, y, frame.right),
            _text(frame.left - 8, y + 4.5, label, "end", "muted"),
        ]
    parts.append(_text(6, 16, y_name, "start", "axis"))
    x_ticks = [(value, f"{value:,.0f}") for value in ticks(*frame.x, 5 if size.name == "wide" else 3)]
    return Markup("").join(parts) + _x_axis(frame, size, x_name, x_ticks)


def _x_axis(frame: Frame, size: Size, name: str, labels: Sequence[tuple[float, str]]) -> Markup:
    parts = [Markup('<path class="base" d="M{:.1f} {:.1f}H{:.1f}"/>').format(frame.left, frame.bottom, frame.right)]
    for value, label in labels[:: 2 if size.name == "narrow" and len(labels) > 5 else 1]:
        x = frame.at(value, 0)[0]
        parts.append(Markup('<path class="base" d="M{:.1f} {:.1f}v5"/>').format(x, frame.bottom))
        parts.append(_text(x, frame.bottom + 20, label, "middle", "muted"))
    parts.append(_text((frame.left + frame.right) / 2, frame.bottom + 41, name, "middle", "axis"))
    return Markup("").join(parts)


def _path(frame: Frame, points: Points, css: str, closed: bool = False) -> Markup:
    if not points:
        return Markup("")
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in (frame.at(*point) for point in points))
    return Markup('<path class="{}" d="M{}{}"/>').format(css, steps, "Z" if closed else "")


def _text(x: float, y: float, text: str, anchor: str, css: str) -> Markup:
    element = Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return element.format(css, x, y, anchor, escape(text))


def _end_labels(frame: Frame, ends: Sequence[tuple[str, str, float]]) -> Markup:
    """Return the names of lines right of their ends, moved apart where they would overlap."""
    ordered = sorted(ends, key=lambda end: end[2])
    places: list[float] = []
    for _, _, y in ordered:
        places.append(max(y, places[-1] + _LINE_HEIGHT) if places else max(y, frame.top))
    for i in range(len(places) - 1, -1, -1):
        limit = frame.bottom if i == len(places) - 1 else places[i + 1] - _LINE_HEIGHT
        places[i] = min(places[i], limit)
    parts = []
    for (css, name, y), place in zip(ordered, places, strict=True):
        leader = Markup('<path class="leader {}" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>')
        parts.append(leader.format(css, frame.right + 1, y, frame.right + 10, place))
        parts.append(_text(frame.right + 13, place + 4.5, name, "start", f"end {css}"))
    return Markup("").join(parts)


def _swarm(frame: Frame, values: Sequence[float], middle: float) -> list[tuple[tuple[float, float], float]]:
    """Return the places of dots around the height `middle`, moved up and down where they would overlap."""
    placed: list[tuple[tuple[float, float], float]] = []
    rows = [middle + 11 * step for step in (0, 1, -1, 2, -2, 3, -3, 4, -4)]
    for value in sorted(values):
        x = frame.at(value, 0)[0]
        near = {y for (other, y), _ in placed if abs(other - x) < 11}
        placed.append(((x, next((row for row in rows if row not in near), middle)), value))
    return placed
