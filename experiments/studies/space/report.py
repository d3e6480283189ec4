"""What ``copyloom study space`` says for people: tables, figures and a short page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.reports.report import environment, pictured, write_page
from experiments.reports.tables import write_figure
from experiments.studies.space.plot import WORDS, draw_correlations, draw_spaces
from experiments.studies.space.spaces import SENTENCE, SUMMARY

PAGE = "report.html"
QUALITIES = ["space", "size", "texts", "mean cosine", "IsoScore", "effective dimension", "top 1, 3, 5 dimensions",
             "order kept", "agreement", "follows product", "follows style", "advice"]  # fmt: skip
WANTED = ["space", "exact, straight", "exact, refined", "mixtures true", "mixtures printed", "mixtures new",
          "linear rewards", "pairwise rewards"]  # fmt: skip
SHORT = ["space", "mean cosine", "dimension", "order kept", "agreement", "product", "style"]
SHORT_WANTED = ["space", "straight", "refined", "mixtures", "new", "linear", "pairwise"]
CORRELATED = ["over", "quality", "wanted", "spaces", "models, runs", "correlation", "95 %", "model or kind left out"]
LEGEND = (
    "Mean cosine: of all pairs of texts. Effective dimension: participation ratio, corrected for few texts. Top: share "
    "of the mean cosine that so many dimensions make up. Order kept: rank correlation of cosines before and after "
    "standardising. Agreement: rank correlation of cosines and what texts share, on texts that chose no advice. "
    "Follows: how likely two claims of one product, or of one style alone, have a higher cosine than two of neither."
)
MEANT = (
    "Exact: decoded letter for letter. Mixtures: of two texts in equal parts; true as the grammar reads them of either "
    "product, printed as an editor would, new as neither parent. Rewards: share of the variance of simulated tastes "
    "that is foretold for other products."
)


def quality_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of a space's qualities."""
    tops = [row[f"top_{top}"] for top in (1, 3, 5)]
    return [row["space"], f"{row['size']:,}", str(row["texts"]), span(row, "mean_cosine"), span(row, "isoscore", 3),
            span(row, "effective_dimension", 0), "–" if tops[0] is None else ", ".join(f"{top:.0%}" for top in tops),
            *(span(row, name) for name in ("rank_agreement", "agreement", "follows_product", "follows_style")),
            row["advice"] or "–"]  # fmt: skip


def wanted_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of what people want of a space."""
    shares = ("exact_straight", "exact_refined", "mixtures_true", "mixtures_printed", "mixtures_new")
    return [row["space"], *(_share(row, name) for name in shares),
            *(span(row, name) for name in ("learned_linear", "learned_pairwise"))]  # fmt: skip


def correlation_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of a correlation."""
    return [row["over"], WORDS[row["quality"]], WORDS[row["wanted"]], str(row["spaces"]), str(row["models"]),
            f"{row['correlation']:+.2f}", f"{row['low']:+.2f} to {row['high']:+.2f}",
            f"{row['least']:+.2f} to {row['most']:+.2f}"]  # fmt: skip


def short_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of a space for a terminal."""
    names = ("mean_cosine", "rank_agreement", "agreement", "follows_product", "follows_style")
    return [row["space"], *(number(row[name], 2) for name in names[:1]), number(row["effective_dimension"], 0),
            *(number(row[name], 2) for name in names[1:])]  # fmt: skip


def short_wanted_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of what people want of a space for a terminal."""
    good = row["mixtures_printed"] if row["mixtures_true"] is None else row["mixtures_true"]
    shares = (row["exact_straight"], row["exact_refined"], good, row["mixtures_new"])
    return [row["space"], *("–" if share is None else f"{share:.0%}" for share in shares),
            *(number(row[name], 2) for name in ("learned_linear", "learned_pairwise"))]  # fmt: skip


def answers(found: Mapping[str, Any]) -> list[str]:
    """Return whether the cosine of what each model stores can be trusted, and that of sentence embeddings."""
    rows = [row for row in found["spaces"] if not row["training_run"] and row["answer"]]
    stored = [f"{row['model']}, {row['space']}: {row['answer']}" for row in rows if row["space"] == SUMMARY]
    sentence = dict.fromkeys(
        f"{row['space'].capitalize()}: {row['answer']}" for row in rows if row["space"] == SENTENCE
    )
    return [*stored, *sentence]


def telling(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the correlations whose interval leaves 0 out, and that keep their sign with any model or kind left out."""
    return [row for row in rows if row["correlation"] is not None
            and row["low"] * row["high"] > 0 and row["least"] * row["most"] > 0]  # fmt: skip


def write(found: Mapping[str, Any], out: Path) -> list[Path]:
    """Write figures and page of what `experiments.studies.space.study.measure` returned, and return the files.

    Raises
    ------
    InputError
        If they cannot be written.
    """
    figures = {"spaces": draw_spaces(found["spaces"])}
    if any(row["correlation"] is not None for row in found["correlations"]):
        figures["correlations"] = draw_correlations(found["correlations"], "all spaces")
    files = [file for name, figure in figures.items() for file in write_figure(figure, out / f"figure-{name}")]
    models = {model: [row for row in found["spaces"] if row["model"] == model] for model in found["models"]}
    page = environment().get_template("space.html.j2").render(
        found, pictures={name: pictured(figure) for name, figure in figures.items()}, answers=answers(found),
        columns=QUALITIES, wanted_columns=WANTED, correlated_columns=CORRELATED, legend=LEGEND, meant=MEANT,
        tables={model: (list(map(quality_cells, rows)), list(map(wanted_cells, rows)))
                for model, rows in models.items()},
        telling=list(map(correlation_cells, telling(found["correlations"]))),
        tried=sum(row["correlation"] is not None for row in found["correlations"]),
    )  # fmt: skip
    write_page(page, out / PAGE)
    return [*files, out / PAGE]


def number(value: float | None, digits: int) -> str:
    """Return a value of so many digits."""
    return "–" if value is None else f"{value:.{digits}f}"


def span(row: Mapping[str, Any], name: str, digits: int = 2) -> str:
    """Return a value of a row with its interval."""
    if row[name] is None:
        return "–"
    value, low, high = (f"{row[f'{name}{end}']:.{digits}f}" for end in ("", "_low", "_high"))
    return f"{value} ({low} to {high})"


def _share(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None:
        return "–"
    return f"{row[name]:.0%} ({row[f'{name}_low']:.0%} to {row[f'{name}_high']:.0%})"
