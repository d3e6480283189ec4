"""The study of EAGLE: audiences are who they say, a stopped study goes on, and differences are read off right."""

import json
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from copyloom import InputError
from experiments.commands.cli import app
from experiments.domains.films import load_films
from experiments.studies.eagle.audiences import Audiences
from experiments.studies.eagle.methods import BEST_OF, EXISTING, REFERENCES, agent
from experiments.studies.eagle.scores import GAIN, MEASURES, SECOND, Crossed, compared
from tests.experiments.domains.invented import invented_data
from tests.experiments.domains.test_domains import letters


@pytest.fixture(scope="module")
def audiences(tmp_path_factory):
    return Audiences(load_films(invented_data(tmp_path_factory.mktemp("data")), letters), 0.5)


def test_ratings_are_foretold_as_of_their_people(audiences):
    films, tastes = audiences.films, audiences.films.tastes
    ratings = tastes.ratings_of(tastes.foretold(films.semantic), range(40))
    assert audiences.of("average").stars(films.semantic).numpy() == pytest.approx(ratings.mean(1))
    assert audiences.of("person 7").stars(films.semantic).numpy() == pytest.approx(ratings[:, 7])
    known = audiences.of("person 7").utility(films.semantic[list(films.known)])
    assert float(known.mean()) == pytest.approx(0, abs=1e-9)
    assert float(known.std()) == pytest.approx(1)


def test_people_who_like_a_genre_are_those_who_rate_it_high(audiences):
    even = [number for number, name in enumerate(sorted(map(str, range(40)))) if int(name) % 2 == 0]
    chosen = audiences._people("comedy")
    assert len(chosen) == 10
    assert set(chosen) <= set(even)
    assert not set(audiences._people("war")) & set(even)


def test_what_is_new_counts_beside_the_rating(audiences):
    plain, new = audiences.of("average"), audiences.of("average + new")
    known = audiences.films.semantic[list(audiences.films.known)]
    assert torch.equal(new.stars.weights, plain.stars.weights)
    torch.testing.assert_close(new.utility(known), plain.utility(known), atol=1e-6, rtol=0)  # they exist
    far = -known[:1]
    above = float(new.utility(far) - plain.utility(far))
    assert above > 0


@pytest.mark.parametrize("name", ["person 40", "person -1", "polka", ""])
def test_an_unknown_audience_is_told_which_there_are(audiences, name):
    with pytest.raises(InputError, match=r"there is no audience .* average, person 0 to person 39, .*comedy"):
        audiences.of(name)


def test_intervals_hold_what_differs_between_films_and_between_seeds():
    rng = np.random.default_rng(0)
    films, seeds = rng.normal(size=(1, 60)), rng.normal(size=(50, 1))
    for values, count in ((np.repeat(films, 50, 0), 60), (np.repeat(seeds, 60, 1), 50)):
        row = Crossed(*values.shape).row(values)
        assert row["high"] - row["low"] == pytest.approx(2 * 1.96 * values.std() / count**0.5, rel=0.15)
        assert row["value"] == pytest.approx(values.mean())


def test_differences_are_paired_and_the_mean_over_audiences():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(5, 8))
    methods = {**{one: noise for one in REFERENCES}, **{agent(one): noise + 0.5 for one in REFERENCES}}
    scored = {name: {method: {GAIN: values + shift * (method in REFERENCES), SECOND: values}
                     for method, values in methods.items()} for name, shift in (("a", 0.0), ("b", 0.2))}  # fmt: skip
    rows = {(row["audience"], row["measure"], row["method"], row["above"]): row for row in compared(scored)}
    one = rows["all", GAIN, agent("uniform"), "uniform"]
    assert (one["value"], one["low"], one["high"]) == pytest.approx((0.4, 0.4, 0.4))
    assert rows["b", GAIN, agent("uniform"), "uniform"]["value"] == pytest.approx(0.3)
    assert not any(BEST_OF in key for key in rows)  # nobody prompted


def test_what_is_refused_is_refused_before_anything_is_asked(tmp_path):
    data = invented_data(tmp_path / "data", films=200)
    call = ["study", "eagle", "--quick", "--data", str(data), "--folder", str(tmp_path / "out")]
    for more, message in (
        (["--for", "person 40"], "there is no audience 'person 40'"),
        (["--for", "war", "--for", "war"], "each once"),
        (["--learning-calls", "20"], "learning-calls is 20, but to try"),
        (["--films", "900"], "900 edited films are asked for"),
    ):
        done = CliRunner().invoke(app, [*call, *more])
        assert done.exit_code
        assert message in " ".join(done.output.split())
    assert not (tmp_path / "out" / "quick" / "changes.jsonl").exists()


@pytest.mark.slow
def test_every_method_has_its_numbers_and_a_stopped_study_goes_on(tmp_path):
    data, folder = invented_data(tmp_path / "data"), tmp_path / "study"
    small = ["--learning", "2", "--films", "4", "--calls", "2", "--iterations", "3", "--learning-calls", "40",
             "--seeds", "2", "--tokens", "12", "--gaps", "1", "--entities", "200"]  # fmt: skip
    call = ["study", "eagle", "--quick", "--data", str(data), "--folder", str(folder), *small, "--json"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    rows = {(row["method"], row["measure"]): row for row in found["edited"]}
    methods = {*REFERENCES, *map(agent, REFERENCES), BEST_OF, EXISTING}
    assert set(rows) == {(method, measure) for method in methods for measure in MEASURES}
    assert all(row["low"] <= row["value"] + 1e-9 and row["value"] <= row["high"] + 1e-9 for row in rows.values())
    assert all(rows[method, GAIN]["value"] >= 0 for method in methods - {EXISTING})  # nobody keeps what is worse
    assert all(rows[method, "calls"]["value"] <= 2 for method in methods)
    assert all(1 <= row["certificate"] < 1.02 for row in found["learning"] if row["certificate"] is not None)
    assert len(found["gaps"]) == 1
    assert "Can edits make a film that people would like more?" in (folder / "quick" / "eagle.html").read_text()
    shutil.rmtree(folder / "quick" / "played")  # as if it had been stopped while it learnt
    changes = (folder / "quick" / "changes.jsonl").read_bytes()
    again = json.loads(CliRunner().invoke(app, call).stdout)
    assert (folder / "quick" / "changes.jsonl").read_bytes() == changes
    assert {name: again[name] for name in again if name not in ("run", "files")} == {
        name: found[name] for name in found if name not in ("run", "files")
    }
