"""Counts of texts from exports of ad tools and experiment platforms: found out by their columns, wrong rows named."""

import json
from pathlib import Path
from typing import Any

import pytest

from copyloom import InputError
from experiments.counts import Columns, read_past, read_results
from tests.experiments.commands.test_cli import fails, run

ASSETS = """\
Asset report
"November 1, 2026 - November 28, 2026"
Asset status\tAsset\tAsset type\tLevel\tImpr.\tClicks\tCTR\tConversions
Enabled\tWarm socks for cold days\tHeadline\tAd group\t12,345\t"1,234"\t10.00%\t3.50
Enabled\tDry feet, all day\tHeadline\tAd group\t1,000\t20\t2.00%\t0.00
Paused\tFree shipping on all orders\tDescription\tAd group\t9,000\t100\t1.11%\t1.00
Enabled\tWarm socks for cold days\tHeadline\tAd group\t655\t66\t10.08%\t0.00
Paused\tNever shown\tHeadline\tAd group\t --\t --\t --\t --
Total: Assets\t --\t --\t --\t"23,000"\t"1,420"\t6.17%\t4.50
"""
ADS = """\
Ad state,Headline 1,Headline 2,Description 1,Ad type,Impr.,Clicks,CTR
Enabled,Warm socks,Buy now,Soft and warm.,Responsive search ad,100,5,5.00%
Enabled,Dry feet,Buy now,Soft and dry.,Responsive search ad,200,8,4.00%
"""
META = """\
Reporting starts,Reporting ends,Ad name,Ad delivery,Reach,Impressions,Link clicks,Clicks (all),Amount spent (EUR)
2026-11-01,2026-11-28,socks A,active,900,1000,20,31,12.50
2026-11-01,2026-11-28,socks B,active,800,1100,44,50,13.00
"""
GROWTHBOOK = """\
"metric","variation","riskOfChoosing","users","totalValue","perUserValue","chanceToBeatControl"
"Added to cart","Control",0.01,5000,250,0.05,
"Added to cart","Warm",0.002,5100,300,0.0588,0.97
"Revenue","Control",0.01,5000,12345.5,2.47,
"Revenue","Warm",0.002,5100,13000.25,2.55,0.8
"""
POSTHOG = """\
name,breakdown_value,action_id,count,median_conversion_time (seconds),average_conversion_time (seconds)
Page seen,control,$pageview,5000,,
Clicked,control,click,200,12,15
Bought,control,buy,25,60,70
Page seen,warm,$pageview,5050,,
Clicked,warm,click,260,12,15
Bought,warm,buy,31,60,70
"""
NAMES = "name,text\nControl,Socks for you.\ncontrol,Socks for you.\nWarm,Warm socks.\nwarm,Warm socks.\n"


def write(folder: Path, text: str, name: str = "export.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_text(text, encoding=encoding)
    return path


def test_google_ads_assets(tmp_path: Path) -> None:
    path = write(tmp_path, ASSETS, encoding="utf-16")
    found = read_results(path)
    assert (found.tool, found.columns) == ("Google Ads (assets)", ("Asset", "Impr.", "Clicks"))
    assert found.counts == (("Warm socks for cold days", 13_000, 1_300), ("Dry feet, all day", 1_000, 20),
                            ("Free shipping on all orders", 9_000, 100))  # fmt: skip
    assert (found.rows, found.left_out) == (4, {"sums at the end": 1, "without counts": 1})
    headlines = read_results(path, Columns(where={"Asset type": "Headline"}))
    assert (len(headlines.counts), headlines.left_out["other rows than --where"]) == (2, 1)


def test_counts_of_whole_ads_are_of_no_text(tmp_path: Path) -> None:
    path = write(tmp_path, ADS)
    with pytest.raises(InputError, match=r"of whole ads.*report of assets.*--column 'Headline 1'"):
        read_results(path)
    assert read_results(path, Columns(text="Headline 1")).counts == (("Warm socks", 100, 5), ("Dry feet", 200, 8))


@pytest.mark.parametrize(("text", "tool", "asked", "counts"), [
    (GROWTHBOOK, "GrowthBook", {"metric": "Added to cart"}, ((5000, 250), (5100, 300))),
    (POSTHOG, "PostHog (a funnel)", {}, ((5000, 25), (5050, 31))),
    (POSTHOG, "PostHog (a funnel)", {"metric": "Clicked"}, ((5000, 200), (5050, 260))),
])  # fmt: skip
def test_variations_stand_for_texts_that_a_person_says(
    tmp_path: Path, text: str, tool: str, asked: dict[str, Any], counts: tuple[tuple[int, int], ...]
) -> None:
    path, names = write(tmp_path, text), write(tmp_path, NAMES, "names.csv")
    found = read_results(path, Columns(**asked), names)
    assert (found.tool, found.counts) == (tool, tuple(
        (words, *some) for words, some in zip(("Socks for you.", "Warm socks."), counts, strict=True)))  # fmt: skip
    with pytest.raises(InputError, match=r"has no texts.*--names FILE"):
        read_results(path, Columns(**asked))
    with pytest.raises(InputError, match=r"does not say what '[wW]arm' of"):
        read_results(path, Columns(**asked), write(tmp_path, NAMES.split("Warm")[0], "few.csv"))


def test_ads_of_meta_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, META)
    names = write(tmp_path, "name,text\nsocks A,Warm socks.\nsocks B,Dry feet.\n", "names.csv")
    assert read_results(path, names=names).counts == (("Warm socks.", 1000, 20), ("Dry feet.", 1100, 44))
    assert read_results(path, Columns(clicked="Clicks (all)"), names).counts[0] == ("Warm socks.", 1000, 31)


@pytest.mark.parametrize(("text", "asked", "says"), [
    ("headline,impressions,clicks\na b,10,11\nc d,-1,0\ne f,x,1\n,5,1\ng h,1.5,1\n", {},
     ["column 'headline' is missing in 1 row: row 4", "'impressions' is no whole number in 3 rows: row 2 (-1), row 3 "
      "(x), row 5 (1.5)", "'clicks' is more than the impressions in 2 rows: row 1 (11 of 10), row 2 (0 of -1)"]),
    ("headline,shown,taps\na b,10,1\nc d,20,2\n", {}, ["none that is known could be it", "--impressions"]),
    ("headline,impressions,clicks,conversions\na b,10,1,0\nc d,20,2,1\n", {}, ["'clicks' or 'conversions'"]),
    ("headline,claim,views,clicks\na b,c d,10,1\ne f,g h,1,1\n", {}, ["say which does with --column"]),
    (GROWTHBOOK, {}, ["the metrics Added to cart, Revenue", "--metric"]),
    (GROWTHBOOK, {"metric": "Revenue"}, ["'totalValue' is no whole number in 2 rows: row 3 (12345.5), row 4"]),
    (GROWTHBOOK, {"metric": "Clicks"}, ["no metric 'Clicks'; it has Added to cart, Revenue"]),
    (POSTHOG, {"metric": "Left"}, ["no metric 'Left'"]),
    (ADS, {"text": "Headline 9"}, ["no column 'Headline 9'"]),
    (ASSETS, {"where": {"Kind": "Headline"}}, ["no column 'Kind'"]),
    (ASSETS, {"where": {"Asset type": "Image"}}, ["no row that counts; left out: 1 sums at the end, 5 other"]),
    (ASSETS, {"metric": "Clicks"}, ["tells no metrics apart"]),
])  # fmt: skip
def test_what_cannot_be_is_said(tmp_path: Path, text: str, asked: dict[str, Any], says: list[str]) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError) as error:
        read_results(path, Columns(**asked))
    assert [words for words in says if words not in str(error.value)] == []


def test_any_table_with_columns_that_are_named(tmp_path: Path) -> None:
    text = "Variation;Besucher;Klicks\nWarme Socken;1.234;56\nTrockene Füße;2.000;60\n"  # Optimizely's, say, in German
    path = write(tmp_path, text, encoding="cp1252")
    found = read_results(path, Columns("Variation", "Besucher", "Klicks"))
    assert found.counts == (("Warme Socken", 1234, 56), ("Trockene Füße", 2000, 60))
    out = tmp_path / "past.csv"
    options = ("--column", "1", "--impressions", "Besucher", "--clicks", "3")
    assert run("import", str(path), *options, "--out", str(out)).exit_code == 0
    assert read_past(out) == found.counts


def test_the_command_gives_a_past_and_texts_of_a_slot(tmp_path: Path) -> None:
    from experiments.storefront import review
    from experiments.storefront.live import LiveCampaign
    from experiments.storefront.slots import Slots, open_storefront

    shop, out = str(tmp_path / "shop.db"), tmp_path / "past.csv"
    with LiveCampaign.open(shop, "hero", ["Dry feet, all day", "Socks that stay."]):
        pass
    path = write(tmp_path, ASSETS)
    options = (
        "--out",
        str(out),
        "--database",
        shop,
        "--slot",
        "hero",
        "--by",
        "anna",
        "--where",
        "Asset type=Headline",
    )
    found = json.loads(run("import", str(path), *options, "--json").stdout)
    assert (found["tool"], found["added"]) == ("Google Ads (assets)", ["Warm socks for cold days"])
    assert found["counts"][0] == {"text": "Warm socks for cold days", "impressions": 13_000, "clicks": 1_300}
    assert [(text, shown) for text, shown, _ in read_past(out)] == [("Warm socks for cold days", 13_000),
                                                                   ("Dry feet, all day", 1_000)]  # fmt: skip
    state = Slots(open_storefront(shop)).get("default", "hero").state
    assert [(draft.text, draft.author) for draft in review.waiting(state)] == [("Warm socks for cold days", "anna")]
    again = run("import", str(path), *options)
    assert "0 new texts wait" in again.output
    assert "Left out: 1 sums at the end" in again.output
    assert "--slot and --database belong together" in fails("import", str(path), "--slot", "hero")
    assert "'Asset type'" in fails("import", str(path), "--where", "Asset type")
    assert "there is no slot 'side'" in fails("import", str(path), "--database", shop, "--slot", "side")
