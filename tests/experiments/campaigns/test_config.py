"""Configuration: one model for YAML and command line, unknown keys are errors."""

from pathlib import Path

import pytest
import yaml

from copyloom import InputError
from experiments.campaigns.config import PolicyConfig
from experiments.simulation.config import RunConfig


def test_yaml_round_trip(tmp_path: Path) -> None:
    config = RunConfig(seeds=3, policy={"name": "ucb"})
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert RunConfig.from_yaml(file) == config


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("seedz: 3", "seedz"),
        ("seeds: 0", "seeds"),
        ("policy: {name: magic}", "policy.name"),
        ("- a list", "mapping"),
        ("seeds: [", "not a readable YAML"),
    ],
)
def test_bad_settings_are_named(tmp_path: Path, content: str, says: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(content)
    with pytest.raises(InputError, match=says):
        RunConfig.from_yaml(file)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a readable YAML"):
        RunConfig.from_yaml(tmp_path / "none.yaml")


def test_a_policy_may_be_named_as_its_module_is() -> None:
    assert PolicyConfig.model_validate("epsilon_greedy") == PolicyConfig(name="epsilon-greedy")
    assert PolicyConfig.model_validate({"name": "top_two"}).name == "top-two"
