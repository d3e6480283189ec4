"""A command starts at once: what takes seconds to import is imported when it is used."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "scipy", "sklearn", "matplotlib", "sqlalchemy", "ray")


def test_the_command_line_imports_nothing_that_takes_seconds() -> None:
    asked = f"import sys, experiments.commands.cli; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


@pytest.mark.parametrize(("command", "heavy"), [
    ("from experiments.commands.doctor import examine; next(examine('copyloom-tiny', 'auto', None))", HEAVY),
    ("from bandits.sequential.planning import PlannedCampaign, plan_traffic; "
     "plan_traffic(PlannedCampaign(1000, 14, 0.02, 3, 0.2))", ("torch", "transformers", "sqlalchemy")),
])  # fmt: skip
def test_a_plan_and_what_a_doctor_knows_at_once_need_no_torch(command: str, heavy: tuple[str, ...]) -> None:
    asked = f"import sys; {command}; print(*[name for name in {heavy!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_packages_name_what_their_stubs_say() -> None:
    import bandits
    import embeddings
    import generator
    import simulator

    for package in (bandits, embeddings, generator, simulator):
        assert package.__all__
        for name in package.__all__:
            assert getattr(package, name).__doc__ is not None or name == "TextFeatures"
    assert {"Space", "SummaryEmbedding"} <= set(dir(embeddings))
