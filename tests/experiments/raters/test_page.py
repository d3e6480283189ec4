"""The sheet as a rater uses it, from a file in Chromium: by keys, on a phone, opened again, saved, read back."""

from pathlib import Path

import numpy as np
import pytest

from experiments.raters.answers import read_answers
from experiments.raters.making import Plan, draw, write
from experiments.raters.questions import asked_of
from experiments.raters.units import Entry
from tests.experiments.storefront.web import Visit, browser, violations

HOSTILE = (
    "<script>document.title='caught'</script> 'quoted' \"twice\"\nand a second line of an extraordinarily-long-word-"
    + 60 * "x"
)
ASKED = asked_of(["consistency", "quality", "similarity", "preference"])


@pytest.fixture(scope="module")
def chromium():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory):
    some = [
        Entry(f"{source} {item} {HOSTILE}", source, str(item), f"About {item}\nand more")
        for item in range(6)
        for source in "ab"
    ]
    found = draw(some, Plan(ASKED, 1, 3, 1))
    return found.key, write(found, tmp_path_factory.mktemp("sheets") / "sheet.html")[0]


def saved(visit: Visit, folder: Path) -> Path:
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name="Save my answers").click()
    waiting.value.save_as(file := folder / waiting.value.suggested_filename)
    return file


def test_a_rater_answers_by_keys_comes_back_and_saves(chromium, drawn, tmp_path: Path) -> None:
    key, file = drawn
    visit = Visit(chromium, viewport={"width": 1280, "height": 800}, accept_downloads=True)
    page = visit.page
    page.goto(file.as_uri())
    page.get_by_role("button", name="Save my answers").click()
    assert "give your name" in page.get_by_role("status").inner_text()
    page.keyboard.type("Zoë / 1")
    questions = 3 * 2 + 3 * 2 + 2 * 2 + 2 * 2
    for number in range(questions):  # a group is one stop of Tab; from its first mark the arrows go round
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight" if number % 2 else "ArrowLeft")
        assert f"{number + 1} of {questions} answered" in page.get_by_role("status").inner_text()
    assert not page.get_by_role("button", name="Next open question").is_visible()
    marks = page.evaluate("marked()")
    page.reload()
    assert page.evaluate("marked()") == marks
    assert page.get_by_label("Your name or initials").input_value() == "Zoë / 1"
    assert page.title() == "Rating of texts"
    back = saved(visit, tmp_path)
    assert back.name == "ratings-Zoë-1.csv"
    assert back.read_text(encoding="utf-8").splitlines()[1].split(",")[1] == '"Zoë / 1"'
    mended = tmp_path / "mended.csv"  # the checks ask for marks that the arrows did not give
    checks = {line.id for line in key.lines if line.unit is None}
    mended.write_text("\n".join(row for row in back.read_text(encoding="utf-8").splitlines() if row[:7] not in checks))
    found = read_answers([mended], key, "{}")
    assert (found.raters, found.missing) == (("Zoë / 1",), {"Zoë / 1": 0})
    assert sum(int(np.isfinite(own).sum()) for own in found.marks.values()) == 12
    for line in key.lines:
        if line.unit is not None:
            for name in key.asked(line):
                given, shown = marks[f"{line.id} {name}"], found.marks[name][0, line.unit]
                choice = {"A": 1.0, "tie": 0.5, "B": 0.0}.get(given)
                assert shown == (float(given) if choice is None else 1 - choice if line.turned else choice)
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear all answers").click()
    assert page.evaluate("marked()") == {}
    page.reload()
    assert page.evaluate("marked()") == {}
    visit.close()


def test_on_a_phone_by_touch(chromium, drawn, tmp_path: Path) -> None:
    _, file = drawn
    visit = Visit(chromium, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = visit.page
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator(".bottom").bounding_box()["height"] < 130
    boxes = [label.bounding_box() for label in page.locator(".scale label").all()]
    assert min(min(box["width"], box["height"]) for box in boxes) >= 44
    page.get_by_label("Your name or initials").fill("Bo")
    page.get_by_role("button", name="Next open question").tap()
    page.locator("fieldset").first.get_by_role("radiogroup").first.get_by_text("4", exact=True).tap()
    visit.picture("rater-sheet-390")
    rows = saved(visit, tmp_path).read_text(encoding="utf-8").splitlines()
    assert rows[0] == "id,rater,consistency,quality,similarity,preference"
    assert sum(row.count(",4") for row in rows[1:]) == 1
    assert "saved, with open questions" in page.get_by_role("status").inner_text()
    visit.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(chromium, drawn, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra dev has axe").Axe().axe_script
    visit = Visit(chromium, viewport={"width": 1280, "height": 800}, color_scheme=scheme, bypass_csp=True)
    visit.page.goto(drawn[1].as_uri())
    visit.picture(f"rater-sheet-1280-{scheme}")
    visit.page.evaluate(axe)
    assert violations(visit) == []
    visit.close()
