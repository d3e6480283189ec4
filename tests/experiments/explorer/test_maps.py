"""Maps: closed forms of what a plane keeps, sources, the table, and the page as a person uses it."""

import json
import re
import sys
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from sklearn import manifold
from torch.nn.functional import normalize

from copyloom import InputError
from embeddings.database import open_database
from embeddings.encoded import EncodedOnce
from embeddings.exchange import save_embeddings
from embeddings.pool import Pool
from embeddings.summary import Lineage, SpaceIdentity, SummaryEmbedding
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Admitted, Closed, Draft, Opened, Published, Written
from experiments.campaigns.ledger import Ledger
from experiments.explorer.maps.atlas import write_atlas
from experiments.explorer.maps.collection import MapText, collected
from experiments.explorer.maps.mapping import map_of
from experiments.explorer.maps.neighbours import faithfulness, nearest, trustworthiness
from experiments.explorer.maps.page import verdict, write
from experiments.explorer.maps.projection import projected
from experiments.explorer.maps.sources import of_database, of_embeddings
from experiments.explorer.maps.tables import of_table
from tests.experiments.storefront.web import Visit, browser

HOSTILE = "Say </script><script>document.title='caught'</script><!-- & <b>“quiet”</b>"
SPACE = SpaceIdentity("tiny", "a1", "b2", "minilm", "", vectors=2, hidden_size=3)


def quiet(*_):
    pass


def rows_of(count, size=6, seed=0):
    drawn = np.random.default_rng(seed).normal(size=(count, size)) * np.linspace(3, 0.5, size)
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def drawn(texts, of="meaning", method="pca", size=6):
    return map_of(collected(texts, list(torch.from_numpy(rows_of(len(texts), size))), of), method, 0, quiet)


def stored(text, seed, lineage=None):
    random = torch.Generator().manual_seed(seed)
    vector = normalize(torch.randn(4, generator=random), dim=0)
    return SummaryEmbedding(text, torch.randn(2, 3, generator=random), vector, SPACE, True, 1.0, 0, "adapter", lineage)


def test_axes_hold_the_largest_eigenvalues_and_their_signs_do_not_hang_on_the_order_of_texts():
    rows = rows_of(200)
    plane = projected(rows, "pca", 0)
    covariance = np.cov(rows.astype(float).T)
    values = np.linalg.eigvalsh(covariance)
    assert plane.shares == pytest.approx(values[::-1][:2] / values.sum())
    loadings = (rows - rows.mean(0)).T @ plane.places
    assert all(loadings[np.abs(loadings[:, axis]).argmax(), axis] > 0 for axis in (0, 1))
    order = np.random.default_rng(1).permutation(200)
    assert projected(rows[order], "pca", 5).places == pytest.approx(plane.places[order], abs=1e-5)
    assert projected(rows[:4], "pca", 0).places.shape == (4, 2)  # fewer texts than dimensions


def test_trustworthiness_is_that_of_scikit_learn():
    rows, places = rows_of(600), np.random.default_rng(2).normal(size=(600, 2))
    faithful = faithfulness(rows, places, nearest(rows))
    assert faithful.trustworthiness == pytest.approx(manifold.trustworthiness(rows, places, n_neighbors=10), abs=1e-6)
    assert faithful.trustworthiness == pytest.approx(0.5, abs=0.03)
    assert faithful.kept == pytest.approx(faithful.by_chance, abs=0.02)


def test_a_plane_of_the_space_itself_keeps_everything():
    angles = np.random.default_rng(3).uniform(0, 2 * np.pi, 80)
    rows = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    found = faithfulness(rows, rows.astype(float), nearest(rows))
    assert (found.kept, found.trustworthiness) == (1, 1)
    assert trustworthiness(rows, nearest(rows).ids) == 1


def test_neighbours_are_those_of_the_space_by_cosine_and_never_oneself():
    rows = rows_of(50)
    near, cosines = nearest(rows), rows @ rows.T
    np.fill_diagonal(cosines, -2)
    assert near.ids.tolist() == np.argsort(-cosines, axis=1)[:, :10].tolist()
    assert near.cosines == pytest.approx(np.sort(cosines, axis=1)[:, :-11:-1], abs=1e-5)


@pytest.mark.parametrize("of", ["meaning", "vectors"])
@pytest.mark.parametrize("method", ["pca", "umap"])
def test_one_text_and_equal_texts_lie_in_one_place(tmp_path, monkeypatch, of, method):
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=None))  # is not asked for one place
    for count in (1, 3):
        texts = [MapText(f"claim {number}") for number in range(count)]
        found = map_of(collected(texts, [torch.ones(4) / 2] * count, of), method, 0, quiet)
        assert found.plane.places.tolist() == [[0, 0]] * count
        assert (found.plane.shares, found.faithful.kept) == (None, None)
        write(found, tmp_path / "map.html")
        write_atlas(found, tmp_path / "map.parquet")
    two = drawn([MapText("a lamp"), MapText("a mug")], of)
    assert (two.plane.shares, two.faithful.kept) == (pytest.approx((1, 0)), None)
    assert two.near.ids.tolist() == [[1], [0]]
    write(two, tmp_path / "map.html")


@pytest.mark.parametrize(("count", "told"), [
    (1, "1 text. Two make a map."),
    (2, "2 texts. So few texts that a map keeps all neighbours: nothing can be told of it."),
    (11, "11 texts. So few texts that a map keeps all neighbours: nothing can be told of it."),
])  # fmt: skip
def test_nothing_is_told_of_a_map_that_cannot_fail(count, told):
    found = drawn([MapText(f"claim {number}") for number in range(count)]).summary()
    assert (found["kept"], found["by_chance"], verdict(found)) == (None, None, told)


def test_a_verdict_names_chance_and_texts_in_one_place():
    twelve = drawn([MapText(f"claim {number}") for number in range(12)]).summary()
    assert twelve["by_chance"] == pytest.approx(10 / 11)
    assert verdict(twelve).endswith("are among its 10 nearest on this map, 9.1 by chance.")
    same = map_of(collected([MapText("a"), MapText("b")], [torch.ones(4) / 2] * 2, "meaning"), "pca", 0, quiet)
    assert verdict(same.summary()) == "2 texts. All lie in one place."


def test_a_text_at_the_mean_of_all_points_nowhere_and_is_left_out():
    vectors = [torch.tensor(row) for row in ([1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0], [0.0, 0.0])]
    texts = [MapText(f"claim {number}") for number in range(5)]
    found = collected(texts, vectors, "vectors")
    assert ([text.text for text in found.texts], found.left_out) == ([f"claim {number}" for number in range(4)], 1)
    assert np.linalg.norm(found.rows, axis=1) == pytest.approx(np.ones(4))
    assert nearest(np.zeros((3, 2), np.float32)).cosines.tolist() == [[0, 0]] * 3


def test_umap_takes_a_seed_needs_texts_and_its_extra(monkeypatch):
    asked = {}

    class Flat:
        def __init__(self, **how):
            asked.update(how)

        def fit_transform(self, rows):
            return rows[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Flat))
    assert projected(rows_of(40), "umap", 7).shares is None
    assert (asked["random_state"], asked["n_jobs"], asked["n_neighbors"]) == (7, 1, 15)
    with pytest.raises(InputError, match="5 texts or more, 4 were given"):
        projected(rows_of(4), "umap", 0)
    with pytest.raises(InputError, match="'tsne' is unknown; use pca"):
        projected(rows_of(4), "tsne", 0)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(InputError, match=r"pip install 'copyloom\[maps\]'"):
        projected(rows_of(40), "umap", 0)


@pytest.mark.slow
def test_umap_of_one_seed_is_one_map():
    pytest.importorskip("umap", reason="umap-learn is not installed: the extra maps has it")
    threads = torch.get_num_threads()
    first, second, other = (projected(rows_of(60), "umap", seed).places for seed in (0, 0, 1))
    assert torch.get_num_threads() == threads  # numba sets it for all that use OpenMP
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != other.tobytes()
    assert np.isfinite(projected(rows_of(5), "umap", 0).places).all()


def test_a_run_is_mapped_with_clicks_and_lineage(tmp_path):
    engine, mixed = open_database(tmp_path / "study.sqlite"), "a quiet mug"
    lineage = Lineage(("a jug", "a quiet lamp"), (0.7, 0.3))
    happened = [
        Opened(slate=("a mug", "a quiet lamp"), parents=("a quiet lamp", "a jug"), segments=("all",)),
        Written(drafts=(Draft(lineage, mixed),)), Admitted(texts=(mixed,)),
        Published(snapshot=0, probabilities=(0.5, 0.25, 0.25), impressions=400, learned=0),
        Closed(id="first", snapshot=0, counts=((0, 0, 200, 10), (2, 0, 100, 9))),
    ]  # fmt: skip
    encoder = SimpleNamespace(
        name="minilm", size=4, encode=lambda texts: torch.stack([stored("", len(t)).sentence_vector for t in texts])
    )
    campaigns = [Campaign(name, (0,)) for name in ("one", "other")]
    with Ledger(engine, "settings").step(campaigns, lambda connection, _: EncodedOnce(encoder).keep(
            connection, ["a mug", "a quiet lamp", "a jug", mixed])) as record:  # fmt: skip
        record([happened, happened])
    found = {text.text: text for text in of_database(engine, "meaning").texts}
    assert list(found) == ["a mug", "a quiet lamp", mixed, "a jug"]
    assert (found["a jug"].kind, found["a jug"].impressions) == ("stored, not shown", None)
    assert (found["a mug"].kind, found["a mug"].ctr, found["a mug"].impressions) == ("stored", 0.05, 400)
    assert (found["a quiet lamp"].ctr, found["a quiet lamp"].impressions) == (None, 0)
    assert (found[mixed].kind, found[mixed].parents, found[mixed].weights) == ("written", *vars(lineage).values())
    assert found[mixed].interval is None
    alone = of_database(engine, "meaning", "one").texts
    assert alone[0].impressions == 200
    assert alone[0].interval[0] < 0.05 < alone[0].interval[1]
    with pytest.raises(InputError, match="no campaign 'none' among 2"):
        of_database(engine, "meaning", "none")
    with pytest.raises(InputError, match="none has vectors to map"):
        of_database(engine, "vectors")
    Pool(engine, "texts", SPACE).add([stored("a mug", 1), stored("a lamp", 2)])
    assert [text.text for text in of_database(engine, "vectors").texts] == ["a mug"]
    assert of_database(engine, "vectors").left_out == 3
    engine.dispose()


def test_pools_and_files_of_embeddings_are_mapped(tmp_path):
    some = [stored("a mug", 1), stored("a lamp", 2), stored("a mug of light", 3, Lineage(("a mug",), (1.0,)))]
    save_embeddings([*some, some[0]], tmp_path / "stored.safetensors")
    found = of_embeddings(tmp_path / "stored.safetensors", "vectors")
    assert [(text.text, text.kind) for text in found.texts] == [
        ("a mug", "stored"), ("a lamp", "stored"), ("a mug of light", "written")]  # fmt: skip
    flat = torch.stack([one.vectors.flatten() for one in some])
    assert found.rows == pytest.approx(normalize(flat - flat.mean(0), dim=1).numpy(), abs=1e-6)
    engine = open_database(tmp_path / "pool.sqlite")
    with pytest.raises(InputError, match="there is nothing to map"):
        of_database(engine, "meaning")
    Pool(engine, "texts", SPACE).add(some)
    pooled = {text.text: text for text in of_database(engine, "meaning").texts}
    assert set(pooled) == {"a mug", "a lamp", "a mug of light"}
    assert (pooled["a mug of light"].kind, pooled["a mug of light"].parents) == ("written", ("a mug",))
    assert of_database(engine, "vectors").rows.shape == (3, 6)
    Pool(engine, "others", replace(SPACE, model="other")).add([replace(some[0], space=replace(SPACE, model="other"))])
    with pytest.raises(InputError, match="embeddings of 2 spaces"):
        of_database(engine, "vectors")
    assert len(of_database(engine, "meaning").texts) == 3
    engine.dispose()


def test_a_table_says_what_its_columns_say(tmp_path):
    def vectors(texts):
        return torch.from_numpy(rows_of(len(texts)))

    path = tmp_path / "texts.csv"
    urgent = "Do not miss a 20 percent discount on our lightweight backpacks."
    path.write_text("Text,Style,Impressions,Clicks\nA mug.,calm,\"1,000\",10\nA mug.,loud,\"1,000\",30\n"
                    f"Ein Krug für Öl.,,,\n{urgent},,0,0\n", encoding="utf-8")  # fmt: skip
    mug, oil, offer = of_table(path, None, None, vectors, "meaning").texts
    assert (mug.style, mug.impressions, mug.clicks, mug.ctr) == ("calm", 2000, 40, 0.02)
    assert (oil.style, oil.impressions, oil.ctr, oil.interval) == (None, None, None, None)
    assert (offer.style, offer.ctr) == ("urgent", None)
    for cells, message in (("2,3", "3 clicks on 2 impressions"), ("2,-1", "-1 clicks")):
        path.write_text(f"text,impressions,clicks\nA mug.,{cells}\n")
        with pytest.raises(InputError, match=message):
            of_table(path, None, None, vectors, "meaning")
    path.write_text("text,impressions,clicks\nA mug.,1000,\nA mug.,1000,100\nA lamp.,70,\nA lamp.,30,\n")
    mug, lamp = of_table(path, None, None, vectors, "meaning").texts
    assert (mug.impressions, mug.clicks, mug.ctr) == (1000, 100, 0.1)  # the row without clicks says nothing of a CTR
    assert (lamp.impressions, lamp.clicks, lamp.ctr) == (100, None, None)
    for cells, message in (("1e300,1", "has 1e[+]300 impressions; counts up to 2^53"), (",1e300", "1e[+]300 clicks")):
        path.write_text(f"text,impressions,clicks\nA mug.,{cells}\n")
        with pytest.raises(InputError, match=message.replace("^", r"\^")):
            of_table(path, None, None, vectors, "meaning")
    path.write_text("text,ctr\nA mug.,2.1%\nA lamp.,\n")
    assert [text.ctr for text in of_table(path, None, None, vectors, "meaning").texts] == [0.021, None]
    path.write_text("text,clicks\nA mug.,7\n")
    assert of_table(path, None, None, vectors, "meaning").texts[0].interval is None
    path.write_text("text,ctr\nA mug.,3\n")
    with pytest.raises(InputError, match="has the CTR 3; give a probability"):
        of_table(path, None, None, vectors, "meaning")
    path.write_text("A mug.\nA lamp.\nA mug.\n")
    assert len(of_table(path, None, None, vectors, "meaning").texts) == 2


def some_texts():
    texts = [MapText(f"A kettle of kind {number}.", "stored", f"style {number % 12}") for number in range(40)]
    texts[3] = replace(texts[3], text=HOSTILE)
    texts[4] = replace(texts[4], text="طقم شاي هادئ 🫖", impressions=50, clicks=2, ctr=0.04, interval=(0.01, 0.1))
    texts[5] = MapText("Mixed.", "written", None, 0, 0, None, None, (HOSTILE, "Not on the map."), (0.6, 0.4))
    texts[7] = replace(texts[7], text="Counted by its CTR alone.", impressions=1000, ctr=0.02)
    texts[6] = replace(texts[6], text="half a pair: \ud83e")
    return texts


def test_the_table_has_the_columns_that_embedding_atlas_documents(tmp_path):
    found = drawn(some_texts())
    write_atlas(found, tmp_path / "map.parquet")
    table = pq.read_table(tmp_path / "map.parquet")
    near = table.schema.field("neighbors").type
    assert str(near) == "struct<ids: list<element: int64>, distances: list<element: double>>"
    rows = table.to_pylist()
    assert all(len(row["neighbors"]["ids"]) == len(row["neighbors"]["distances"]) == 10 for row in rows)
    assert all(number not in row["neighbors"]["ids"] for number, row in enumerate(rows))
    assert (rows[3]["text"], rows[6]["text"]) == (HOSTILE, "half a pair: ?")
    assert (rows[5]["style"], rows[5]["ctr"], rows[5]["weights"]) == ("unknown", None, [0.6, 0.4])
    assert rows[5]["lineage"] == f"0.60 x {HOSTILE} + 0.40 x Not on the map."
    assert rows[0]["lineage"] is None
    assert np.array([[row["x"], row["y"]] for row in rows]) == pytest.approx(found.plane.places)
    write_atlas(drawn(some_texts()), tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "map.parquet").read_bytes()


def test_the_page_runs_its_own_script_alone_and_texts_stay_texts(tmp_path):
    write(drawn(some_texts()), tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script(.*?)>(.*?)</script>", page, re.DOTALL)
    assert [how for how, _ in scripts] == [' type="application/json" id="data"', ""]
    assert "script-src 'sha256-" + b64encode(sha256(scripts[1][1].encode()).digest()).decode() + "'" in page
    data = json.loads(scripts[0][1])
    assert data["text"][3] == HOSTILE
    assert data["parents"]["5"] == [[3, 0.6], ["Not on the map.", 0.4]]
    assert len(data["styles"]) == 11  # nine, the others, unknown
    assert "base-uri 'none'; form-action 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
    write(drawn(some_texts()), tmp_path / "again.html")
    assert (tmp_path / "again.html").read_bytes() == (tmp_path / "map.html").read_bytes()


def test_a_person_clicks_walks_and_reads(tmp_path):
    write(drawn(some_texts()), tmp_path / "map.html")
    with browser() as chromium:
        for width, colours in ((1280, "light"), (390, "dark")):
            visit = Visit(chromium, viewport={"width": width, "height": 800}, color_scheme=colours)
            visit.page.goto((tmp_path / "map.html").as_uri())
            _use(visit.page, width)
            visit.picture(f"map-{width}-{colours}")
            visit.close()


def _use(page, width):
    page.wait_for_function("drawn === 0 && width > 0")
    x, y = page.evaluate("place(5)")
    page.locator("#map").click(position={"x": x, "y": y})
    assert page.locator("#read .said").inner_text() == "Mixed."
    parents = page.locator("#read ol").first.locator("li")
    assert parents.all_inner_texts() == [f"0.60\n{HOSTILE}", "0.40\nNot on the map."]
    parents.first.locator("button").click()
    assert page.locator("#read .said").inner_text() == HOSTILE
    assert "Parent of" in page.locator("#read").inner_text()
    nearest_here = page.locator("#read ol").first.locator("li .copy").all_inner_texts()
    assert nearest_here == page.evaluate("data.near[3].map(i => data.text[i])")
    page.locator("#map").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    first = page.evaluate("view.chosen")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("data.x[view.chosen]") < page.evaluate(f"data.x[{first}]")
    page.keyboard.press("+")
    assert page.evaluate("view.zoom") > 1
    page.keyboard.press("0")
    page.locator("#find").fill("طقم")
    page.locator("#find").press("Enter")
    assert "CTR 4.00\u00a0% (2 clicks, 50 impressions)" in page.locator("#read").inner_text()
    page.locator("#find").fill("CTR alone")
    page.locator("#find").press("Enter")
    assert "CTR 2.00\u00a0% (1,000 impressions)" in page.locator("#read").inner_text()
    for colour in ("ctr", "kind", "style"):
        page.locator("#colour").select_option(colour)
    page.locator("#classes button").first.click()
    assert page.locator("#classes button[aria-pressed=true]").count() == 1
    assert page.title() == "Copyloom: a map of 40 texts"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
