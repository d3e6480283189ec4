"""Environments: nothing is asked twice, a server that fails loses no work, and nonsense changes no text."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from copyloom import InputError
from experiments.eagle.actions import Action, edits, generic
from experiments.eagle.environments import Change, Remembered
from experiments.eagle.prompted import NO_ANSWER, Prompted, nonsense

TEXT = "This quiet kettle boils in a minute."
WARMER, FACTUAL, SHORTER, *_ = generic("products")


class Killed(BaseException):
    """The run ends here."""


class Counting:
    """Writes a number behind each text, and is killed after so many."""

    name = "counting"

    def __init__(self, most: int = 1_000) -> None:
        self.most, self.asked = most, list[str]()

    def changes(self, texts: Sequence[str], actions: Sequence[Action], seed: int) -> Iterator[Change]:
        for text, action in zip(texts, actions, strict=True):
            if len(self.asked) == self.most:
                raise Killed
            self.asked.append(f"{text} {action.name}")
            yield Change(f"{text} {seed}{len(text)}{action.name}")


class Server:
    """An instruct model that fails so many times, and then says what it is told to."""

    name, longest = "a server", 40

    def __init__(self, answers: Sequence[str], failures: int = 0) -> None:
        self.said, self.failures, self.asked = list(answers), failures, list[tuple[str, int]]()

    def answers(self, question: str, count: int, seed: int) -> list[str]:
        self.asked.append((question, seed))
        if self.failures:
            self.failures -= 1
            raise InputError("a server does not answer (Connection error.)")
        return [self.said.pop(0)] * count


def test_a_killed_run_resumes_with_no_second_call(tmp_path: Path) -> None:
    texts, actions = ["a", "b", "c", "a"], [WARMER, WARMER, SHORTER, WARMER]
    with pytest.raises(Killed):
        Remembered(Counting(2), tmp_path / "changes.jsonl").changed(texts, actions)
    with (tmp_path / "changes.jsonl").open("a") as file:
        file.write('{"environment": "coun')  # what a kill may leave
    second = Counting()
    resumed = Remembered(second, tmp_path / "changes.jsonl")
    found = resumed.changed(texts, actions)
    assert second.asked == ["c shorter"]
    assert found == Remembered(Counting(), tmp_path / "other.jsonl").changed(texts, actions)
    assert resumed.calls == 3
    third = Counting(0)
    assert Remembered(third, tmp_path / "changes.jsonl").changed(texts, actions) == found


def test_changes_are_known_by_environment_text_action_and_seed(tmp_path: Path) -> None:
    file, one = tmp_path / "changes.jsonl", Counting()
    assert Remembered(one, file).changed(["a"], [WARMER]) != Remembered(one, file, seed=1).changed(["a"], [WARMER])
    Remembered(one, file).changed(["a", "b"], [FACTUAL, WARMER])
    other = Counting()
    other.name = "another"
    Remembered(other, file).changed(["a"], [WARMER])
    assert (len(one.asked), len(other.asked)) == (4, 1)
    assert [json.loads(line)["text"] for line in file.read_text().splitlines()] == ["a", "a", "a", "b", "a"]
    with pytest.raises(InputError, match="1 texts and 2 actions"):
        Remembered(one, file).changed(["a"], [WARMER, FACTUAL])


def test_a_server_that_fails_now_and_then_is_counted_and_asked_again_by_the_next_run(tmp_path: Path) -> None:
    file, actions = tmp_path / "changes.jsonl", [WARMER, FACTUAL, SHORTER]
    failing = Remembered(Prompted(Server(["This kettle boils fast."], failures=2)), file)
    assert failing.changed([TEXT] * 3, actions) == [TEXT, TEXT, "This kettle boils fast."]
    assert failing.faults == {NO_ANSWER: 2}
    server = Server(["Your warm kettle.", "A kettle of steel."])
    well = Remembered(Prompted(server), file)
    assert well.changed([TEXT] * 3, actions) == ["Your warm kettle.", "A kettle of steel.", "This kettle boils fast."]
    assert not well.faults
    assert len(server.asked) == 2


def test_a_server_that_is_down_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    file, actions = tmp_path / "changes.jsonl", [SHORTER, WARMER, FACTUAL]
    Remembered(Prompted(Server(["A kettle."])), file).changed([TEXT], actions[:1])
    down = Server([], failures=9)
    with pytest.raises(InputError, match=r"2 questions in a row were not answered.*Connection error.*are kept"):
        Remembered(Prompted(down, patience=2), file).changed([TEXT] * 3, actions)
    assert len(down.asked) == 2
    assert Remembered(Prompted(Server([])), file).changed([TEXT], actions[:1]) == ["A kettle."]


def test_nonsense_is_asked_again_with_other_seeds_and_then_the_text_stays(tmp_path: Path) -> None:
    server = Server(["", "I'm sorry, but I can't.", "A new kettle.", *["..."] * 3])
    environment = Remembered(Prompted(server), tmp_path / "changes.jsonl", seed=5)
    assert environment.changed([TEXT, TEXT], [WARMER, SHORTER]) == ["A new kettle.", TEXT]
    assert environment.faults == {"empty": 1}
    assert [seed for _, seed in server.asked] == [15, 16, 17, 15, 16, 17]
    again = Remembered(Prompted(Server([])), tmp_path / "changes.jsonl", seed=5)
    assert again.changed([TEXT], [SHORTER]) == [TEXT]  # nonsense is kept too
    assert again.faults == {"empty": 1}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("This warm kettle boils in a minute.", ""),
        ("", "empty"),
        ("…!", "empty"),
        ("As an AI, I do not drink tea.", "a refusal"),
        ("I’m sorry, that is all.", "a refusal"),
        ("This quiet kettle, boils in a minute!", "the text again"),
        ("Make it warmer. This kettle boils.", "the prompt again"),
        ("Here is a line of advertising: This kettle boils.", "the prompt again"),
        ("Buy this kettle now. " * 20, "too long"),
        ("This warm kettle boils in", "not finished"),
        ("It is a kettle that boils in no time. And it is a kettle that boils.", "it repeats itself"),
    ],
)
def test_nonsense_is_told_from_a_changed_text(answer: str, why: str) -> None:
    assert nonsense(answer, TEXT, WARMER) == why


def test_an_instruct_model_needs_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs words"):
        Remembered(Prompted(Server([])), tmp_path / "changes.jsonl").changed([TEXT], edits(["calm"])[:1])
