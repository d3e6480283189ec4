import copy
import itertools
import math
import random
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from copyloom import InputError
from experiments.reports import plots
from experiments.reports.report import REASONS, Change, headline, render_report, write_report

NASTY = "<script>alert('x')</script> \"quoted\" & 🎒 قال مرحبا"
VOID = {"meta", "link", "br", "hr", "img", "input"}
STYLES = (
    "The {q} backpack for {a}.",
    "Treat {a} to a {q} backpack.",
    "What makes {a} smile? A {q} backpack.",
)
QUALITIES = ("lightweight", "water-resistant", "well-organized", "waxed canvas")
AUDIENCES = (
    "daily commuters",
    "university students",
    "weekend travelers",
    "short city breaks",
    "train journeys",
)


def invent_data(seeds=24, rounds=20, stored=60, points=340, impressions=40_000):
    """Report data as a study of `seeds` campaigns would give them."""
    rng = random.Random(0)
    texts = [s.format(q=q, a=a) for s in STYLES for q in QUALITIES for a in AUDIENCES]
    rng.shuffle(texts)
    while len(texts) < stored + points:
        texts.append(f"{rng.choice(texts)[:-1]} no. {len(texts)}.")
    old, new = texts[:stored], [text.replace("backpack", "backpack of the year") for text in texts[stored:]]
    spent = [round(impressions * (i + 1) / rounds) for i in range(rounds)]

    def curve(start, end):
        mean = [end - (end - start) * math.exp(-4 * x / impressions) for x in spent]
        return {"mean": mean, "low": [m - 0.0011 for m in mean], "high": [m + 0.0012 for m in mean]}

    def parents(k=2):
        weights = [0.7, 0.3] if rng.random() < 0.8 else [1.15, -0.15]
        return [{"text": rng.choice(old), "weight": w} for w in weights[:k]]

    def best(i):
        shown = rng.randint(900, 30_000)
        ctr = 0.031 - 0.0005 * i
        half = 1.96 * math.sqrt(ctr / shown)
        counts = {"seeds_shown": rng.randrange(seeds) + 1, "seeds": seeds}
        return {
            **{
                "text": new[i],
                "parents": parents(),
                **counts,
                "impressions": shown,
                "clicks": round(ctr * shown),
            },
            **{"ctr_observed": ctr, "ctr_interval": [ctr - half, ctr + half], "ctr_true": ctr - 0.001},
            "share_of_impressions": 0.04 / (i + 1),
        }

    def learned(i):
        shown = round(9000 / (i + 1))
        ctr = 0.03 - 0.0004 * i
        half = 1.5 * math.sqrt(ctr / (shown + 400))
        kind = "written" if rng.random() < 0.5 else "stored"
        return {
            **{"text": (new if kind == "written" else old)[i % stored], "kind": kind, "impressions": shown},
            **{"clicks": round(ctr * shown), "ctr": ctr, "low": max(ctr - half, 0), "high": ctr + half},
            **{"probability": 0.42 * 0.6**i, "ctr_true": ctr + 0.001},
        }

    def spot(i):
        kind = "stored, about the subject" if i < 20 else "stored, other" if i < stored else "written"
        place = {"x": rng.gauss(i % 3, 0.5), "y": rng.gauss(i % 2, 0.5)}
        shown = rng.random() ** 8 * 0.06 if i >= stored or i < 20 else 0.0
        from_ = [rng.choice(old), rng.choice(old)] if kind == "written" else []
        return {**place, "kind": kind, "text": (old + new)[i], "shown": shown, "parents": from_}

    def world(end):
        return {
            **{"impressions": spent, "loop": curve(0.019, end), "mixing_off": curve(0.019, 0.0242)},
            **{"best_stored": 0.0255, "uniform": 0.0188, "best_possible": 0.0371},
        }

    uplifts = [rng.gauss(0.18, 0.14) for _ in range(seeds)]
    mixed = [0.75 * i / max(rounds - 1, 1) for i in range(rounds)]
    return {
        "summary": {
            **{
                "ctr_loop": 0.0284,
                "ctr_mixing_off": 0.0241,
                "ctr_best_stored": 0.0255,
                "ctr_uniform": 0.0188,
            },
            **{
                "best_possible_ctr": 0.0371,
                "share_of_gap": 0.52,
                "uplift": 0.18,
                "uplift_interval": [0.124, 0.236],
            },
            **{"uplift_over_best_stored": 0.11, "uplift_over_best_stored_interval": [0.053, 0.171]},
            **{"seeds": seeds, "rounds": rounds, "impressions": impressions, "texts_stored": stored},
            **{
                "texts_written": 1240,
                "texts_refused": 402,
                "texts_own": 44,
                "mixtures": 90,
                "mixtures_without_text": 3,
                "unreadable_share": 0.004,
                "writer": "smollm2",
                "exact_share": 1.0,
                "not_exact": [],
                "seconds": 71.3,
            },
            **{
                "device": "cpu",
                "device_reason": "no accelerator was found",
                "world": "grammar",
                "simulated": True,
            },
            "versions": {"copyloom": "0.1.0", "torch": "2.9.0", "python": "3.11.7"},
            "config": {
                "seeds": seeds,
                "policy": {"name": "thompson", "scale": 0.5},
                "rules": {"banned_words": []},
            },
            "subject": {
                "name": "backpack",
                "attributes": {"quality": ["lightweight"], "offer": ["free returns"]},
            },
            "notes": ["200 of 3,000 texts were sampled."],
        },
        "curves": world(0.0287),
        "uplift_by_seed": uplifts,
        "control": {"loss": 0.006, "loss_interval": [-0.002, 0.013], "curves": world(0.0240)},
        "stored": [{"text": t, "about_subject": i < stored // 3, "exact": i != 1} for i, t in enumerate(old)],
        "best_new": [best(i) for i in range(12)],
        "refused": {
            "counts": dict(zip(REASONS, range(150, 0, -6), strict=False)),
            "written": 1642,
            "examples": [
                {"text": f"{t} And", "reason": "not a finished sentence", "parents": parents()} for t in new[40:52]
            ],
        },
        "map": [spot(i) for i in range(min(points, stored + len(new)))],
        "example": {"seed": 3, "texts": [learned(i) for i in range(40)]},
        "weights": {
            "impressions": spent,
            "parents": [{"text": old[i], "weight": [m * (0.24 - 0.03 * i) for m in mixed]} for i in range(6)],
            "others": [m * (1 - sum(0.24 - 0.03 * i for i in range(6))) for m in mixed],
            "stored_share": [1 - m for m in mixed],
        },
    }


class Page(HTMLParser):
    """Checks nesting while it collects elements, ids, visible text and everything a browser would load."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.tags, self.loads, self.words = [], [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self._attributes(attrs)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self._attributes(attrs)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def _attributes(self, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names))
        self.ids += [value for name, value in attrs if name == "id"]
        for name, value in attrs:
            assert not name.startswith("on"), f"{name} on an element"
            if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                self.loads.append(value)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def parse(data):
    html = render_report(data)
    page = Page(html)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.loads) <= {"data:,", *(f"#{name}" for name in page.ids)}
    assert not re.search(r"@import|url\(", html)
    assert len(html.encode()) < 1_000_000
    return page


def replaced(data, texts):
    """Return `data` with every text replaced."""
    if isinstance(data, dict):
        return {k: texts if k in ("text", "reason", "name") else replaced(v, texts) for k, v in data.items()}
    if isinstance(data, list):
        return [texts if isinstance(item, str) else replaced(item, texts) for item in data]
    return data


ALWAYS = ["ctr", "sure", "best", "example", "weights", "map", "refused", "stored", "method", "run"]


def test_a_full_report_has_every_section_and_its_numbers():
    data = invent_data()
    page = parse(data)
    assert set(page.ids) == {*ALWAYS, "control", "picked"}
    for words in (
        "New mixed texts earned 18 % more clicks than the same policy without mixing",
        "(95 % interval 12 % to 24 %, 24 simulated campaigns).",
        "95 % interval over 24 seeds: 5 % to 17 %",
        "2.84 %",
        "Of 1,642 texts written, 402 were refused (24 %)",
        "New texts written1,642",
        "cost 0.6 % of the clicks",
        "< 0.1 %",
        "52 %",
        *REASONS.values(),
        "200 of 3,000 texts were sampled.",
    ):
        assert words in page.text
    every_text = [t["text"] for t in (*data["stored"], *data["best_new"], *data["example"]["texts"], *data["map"])]
    assert all(text in page.text for text in every_text)


def test_texts_are_escaped_wherever_they_stand():
    data = replaced(invent_data(), NASTY)
    data["summary"] |= {"world": "grammar", "not_exact": [NASTY], "notes": [NASTY], "device_reason": NASTY}
    for point, kind in zip(data["map"], ("written", "stored, other", "stored, about the subject") * 200, strict=False):
        point["kind"] = kind
    for row in data["example"]["texts"]:
        row["kind"] = "written"
    html = render_report(data)
    assert html.count("<script") == 1
    assert parse(data).text.count("<script>alert('x')</script> \"quoted\" & 🎒 قال مرحبا") > 400


def test_optional_parts_may_be_missing():
    data = invent_data()
    data["control"] = None
    data["summary"] |= {
        "best_possible_ctr": None,
        "share_of_gap": None,
        "subject": None,
        "world": "sentence space",
    }
    data["curves"]["best_possible"] = None
    for row in (*data["best_new"], *data["example"]["texts"]):
        del row["ctr_true"]
    page = parse(data)
    assert set(page.ids) == {*ALWAYS, "picked"}
    assert "Best possible" not in page.text
    assert "True CTR" not in page.text
    assert "24 simulated campaigns of 40,000 impressions, in 20 rounds" in page.text
    for key in ("best_possible_ctr", "share_of_gap", "subject"):
        del data["summary"][key]
    del data["control"]
    assert parse(data).text == page.text


def test_empty_lists():
    data = invent_data()
    data |= {"uplift_by_seed": [], "stored": [], "best_new": [], "map": []}
    data["refused"] = {"counts": {}, "written": 0, "examples": []}
    data["example"]["texts"] = []
    data["weights"] = {"impressions": [], "parents": [], "others": [], "stored_share": []}
    for curves in (data["curves"], data["control"]["curves"]):
        curves["impressions"] = []
        for key in ("loop", "mixing_off"):
            curves[key] = {"mean": [], "low": [], "high": []}
    page = parse(data)
    for words in ("No new text was shown.", "Nothing was refused.", "no texts to map", "no rounds to plot"):
        assert words in page.text


@pytest.mark.parametrize("interval", [[0.2, 0.2], [math.nan, math.nan], None])
def test_one_seed_is_not_enough_evidence(interval):
    data = invent_data(seeds=1, rounds=1)
    data["summary"] |= {"uplift_interval": interval, "uplift_over_best_stored_interval": interval}
    data["control"]["loss_interval"] = interval
    for curve in (data["curves"]["loop"], data["curves"]["mixing_off"]):
        curve |= {"low": [math.nan], "high": [math.nan]}
    page = parse(data)
    assert page.text.lower().count("not enough evidence yet") >= 4
    assert "1 simulated campaign only" in page.text
    assert "nan" not in page.text.lower().replace("finance", "").split()
    assert "clearly above zero" not in page.text


def test_intervals_that_include_zero_are_said_to():
    data = invent_data()
    data["summary"] |= {"uplift": 0.02, "uplift_interval": [-0.013, 0.05]}
    page = parse(data)
    assert "Not enough evidence yet: campaigns with new mixed texts earned 2 % more clicks" in page.text
    data["summary"] |= {"uplift": -0.12, "uplift_interval": [-0.2, -0.04]}
    assert "New mixed texts earned 12 % fewer clicks" in parse(data).text


def test_four_hundred_points_and_many_long_texts_stay_below_a_megabyte():
    data = invent_data(seeds=60, rounds=60, stored=200, points=400)
    for point in data["map"]:
        point["text"] = point["text"].ljust(140, "x")
        point["parents"] = [parent.ljust(140, "x") for parent in point["parents"]]
    html = render_report(data)
    assert len(re.findall(r'class="pt (?:written|other|about)"[^>]*><title>', html)) == 2 * 400
    parse(data)


def test_the_data_stay_as_they_were():
    data = invent_data()
    before = copy.deepcopy(data)
    assert render_report(data) == render_report(data)
    assert data == before


def test_missing_data_are_named():
    data = invent_data()
    del data["curves"], data["map"]
    with pytest.raises(InputError, match="lack curves, map"):
        render_report(data)


def test_every_refusal_code_of_the_checks_has_plain_words():
    root = Path(__file__).parents[3]
    source = (root / "generator/checks.py").read_text() + (root / "experiments/campaigns/writer.py").read_text()
    assert set(re.findall(r'Refusal\("([^"]+)"', source)) <= set(REASONS)


def test_write_replaces_the_whole_file_or_nothing(tmp_path):
    path = tmp_path / "new" / "report.html"
    data = invent_data(stored=30, points=40)
    data["summary"]["notes"] = ["half a pair: \ud83c"]
    write_report(data, path)
    first = path.read_bytes()
    assert first.decode("utf-8").endswith("</html>")
    with pytest.raises(InputError):
        write_report({}, path)
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_write_to_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(invent_data(), tmp_path / "file" / "report.html")


@pytest.mark.parametrize(
    ("interval", "digits"),
    [((0.12, 0.24), 0), ((0.012, 0.031), 1), ((0.004, 0.08), 1), ((0.0100, 0.0104), 2), ((-0.03, 0.0), 1)],
)
def test_digits_shown_are_those_the_interval_knows(interval, digits):
    assert Change(sum(interval) / 2, interval).digits == digits


def test_a_bound_of_exactly_zero_is_not_evidence():
    assert Change(0.02, (0.0, 0.04)).verdict == "unclear"
    assert headline(Change(None, None), 24).startswith("Not enough evidence yet")


def test_areas_of_a_round_fill_it_even_with_negative_weights():
    weights = {
        "impressions": [10, 20],
        "parents": [{"text": str(i), "weight": [0.0, w]} for i, w in enumerate((0.5, -0.1, 0.2, 0.1, 0.1, 0.1, 0.05))],
        "others": [0.0, 0.05],
        "stored_share": [1.0, 0.0],
    }
    layers = plots.weight_layers(weights)
    assert [layer.letter for layer in layers] == list("SOABCDEF")
    for i in range(2):
        assert sum(layer.values[i] for layer in layers) == pytest.approx(1)
    others = layers[1].values[1]
    assert others == pytest.approx(0.1 / 1.1)


@pytest.mark.parametrize(
    ("low", "high", "most"), [(0, 1, 5), (0.0188, 0.0371, 6), (-0.4, 0.7, 7), (3, 3, 5), (0, 7e6, 3)]
)
def test_ticks_are_few_and_inside(low, high, most):
    found = plots.ticks(low, high, most)
    assert 1 <= len(found) <= most
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)


def test_names_of_lines_never_overlap():
    curves = invent_data()["curves"]
    curves |= {"best_stored": 0.0287, "uniform": 0.0286, "best_possible": 0.0288}
    found = re.findall(r'class="end \w+" x="[\d.]+" y="([\d.]+)"', str(plots.ctr_curves(curves)))
    heights = [float(y) for y in found]
    wide = sorted(heights[:5])
    assert len(heights) == 10
    assert all(b - a >= 16.9 for a, b in itertools.pairwise(wide))
