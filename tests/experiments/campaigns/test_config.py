"""Configuration: one model for YAML and command line, unknown keys are errors."""

from pathlib import Path
from typing import get_args

import pytest
import yaml

from copyloom import InputError
from experiments.campaigns.config import PolicyConfig
from experiments.campaigns.given import given_texts
from experiments.campaigns.policies import policy_classes
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


def test_every_policy_has_a_class_and_both_spellings() -> None:
    found = policy_classes()
    assert set(found) == set(get_args(PolicyConfig.model_fields["name"].annotation))
    for name, policy in found.items():
        assert policy.__doc__
        assert PolicyConfig.model_validate(name.replace("-", "_")).name == name


@pytest.mark.parametrize(("model", "lines", "noted"), [
    ("copyloom-tiny", ["静かなやかん。", "早起きの人。"], True), ("smollm2", ["مصباح هادئ", "كوب دافئ"], True),
    ("copyloom-tiny", ["Ein stiller Kessel.", "Für kühle Tage."], False),
    ("some/other-model", ["静かなやかん。", "早起きの人。"], False),
])  # fmt: skip
def test_a_study_says_what_to_expect_of_other_scripts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, model: str, lines: list[str], noted: bool
) -> None:
    (tmp_path / "texts.txt").write_text("\n".join(lines), encoding="utf-8")
    with caplog.at_level("INFO", "copyloom"):
        notes = given_texts(RunConfig(model=model, texts=tmp_path / "texts.txt")).notes
    assert any("pieces side by side" in note for note in notes) == noted
    assert ("pieces side by side" in caplog.text) == noted
