"""A real pair of logs: what Bernoulli Thompson sampling earned, estimated from what random choice showed."""

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from bandits.evaluation import Columns, evaluate

COLUMNS = Columns("item_id", "click", "propensity_score", position="position")


@pytest.fixture(scope="module")
def folder(shared_data):
    found = shared_data / "obd-sample"
    if not found.is_dir():
        pytest.skip(f"no folder {found}: the Open Bandit Dataset is not part of the repository")
    return found


def shown_shares(path):
    """How often a log shows each item at each position: the policy behind it, averaged over the week of the log."""
    table = pacsv.read_csv(path)
    items, positions = (table[name].to_numpy() for name in ("item_id", "position"))
    rows = [(item, place, (items[positions == place] == item).mean()) for place in (1, 2, 3) for item in set(items)]
    names = ("item_id", "position", "probability")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


@pytest.mark.parametrize("campaign", ["men", "women"])
def test_the_random_log_tells_what_thompson_sampling_earned(folder, campaign):
    """10,000 rounds with 46 clicks. The target's own log holds its mean reward; intervals hold it too."""
    own = pacsv.read_csv(folder / f"bts-{campaign}.csv.gz")["click"].to_numpy()
    target = shown_shares(folder / f"bts-{campaign}.csv.gz")
    found = evaluate(folder / f"random-{campaign}.csv.gz", target, columns=COLUMNS)
    assert found.support.verdict == "enough evidence"
    assert found.support.unsupported < 1e-12
    assert found.logger.value == pytest.approx(0.0046)
    for row in found.estimates:
        if row.estimator != "DM":
            assert row.low < own.mean() < row.high
        if row.estimator in ("IPS", "SNIPS", "DR"):
            assert abs(row.value - own.mean()) < 1.96 * np.hypot(row.standard_error, own.std() / 100)


def test_the_thompson_log_cannot_tell_of_random_choice_and_says_so(folder):
    """Items that it showed with a probability of one in a million leave two effective rounds of 10,000."""
    found = evaluate(folder / "bts-women.csv.gz", columns=COLUMNS)
    assert found.support.effective_rounds < 10
    assert found.support.verdict == "not enough evidence"


def test_its_logs_have_no_row_that_cannot_be_used_and_features_may_be_names(folder):
    columns = Columns("item_id", "click", "propensity_score", "position", features=("user_feature_0", "user_feature_1"))
    found = evaluate(folder / "random-men.csv.gz", columns=columns)
    (model,) = [row for row in found.estimates if row.estimator == "DR"]
    assert model.value == pytest.approx(0.0046, abs=1e-3)
