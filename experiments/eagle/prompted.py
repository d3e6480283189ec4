"""An instruct model as environment: asked in words, its answers cleaned, and refused where they are nonsense."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from copyloom import InputError
from experiments.asking import Asked, line_of
from experiments.eagle.actions import Action
from experiments.eagle.environments import Change
from experiments.versions import source_hash
from generator.checks import normalised

NO_ANSWER = "no answer"
_LONGER, _ROOM = 2, 20
"""How many times the words of the text an answer may have, and how many more."""
_ROW = 6
"""Words in a row that no text says twice."""
_LEAST = 4
"""Words of a part of the prompt that no answer holds by chance."""
_ENDS = ".!?"
_SENTENCE = re.compile(r".+?(?<!\b[A-Z])(?<!\b(?:Dr|Mr|Ms|St|Jr))(?<!\bMrs)[.!?…][\"'”’)]*(?=\s|$)", re.DOTALL)
_REFUSAL = re.compile(
    r"(i('m| am) (sorry|unable|not able)|i (cannot|can't|won't)|sorry\b|as an ai\b|unfortunately, i)", re.IGNORECASE
)


@dataclass(eq=False)
class Prompted:
    """Asks an instruct model to change texts: one on this machine or an endpoint, with `AskedOnce` in front of it.

    An answer that is no changed text (`nonsense`) is asked for again, with further seeds; then the text stays as it
    was. It also stays where the model does not answer at all; that is not kept, so that another run asks again.

    Parameters
    ----------
    asked : Asked
    tries : int
        Answers to one question, at most.
    patience : int
        After so many questions in a row that were not answered, the model counts as down.
    """

    asked: Asked
    tries: int = 3
    patience: int = 3
    _silent: int = 0

    @property
    def name(self) -> str:
        """The model's, with what bears on its answers."""
        return f"{self.asked.name}, {self.asked.longest} tokens, {self.tries} tries, {source_hash(change_of)}"

    def changes(self, texts: Sequence[str], actions: Sequence[Action], seed: int) -> Iterator[Change]:
        """Yield what came of each action; see `Changer`.

        Raises
        ------
        InputError
            If an action has no words, or the model is down.
        """
        for text, action in zip(texts, actions, strict=True):
            question = action.question(text)
            try:
                change = self._change(text, action, question, seed)
                self._silent = 0
            except InputError as error:
                self._silent += 1
                if self._silent >= self.patience:
                    raise InputError(
                        f"{self._silent} questions in a row were not answered, the last one so: {error}. Changes that "
                        "came before are kept; see to the model and give the same command again"
                    ) from error
                change = Change(text, NO_ANSWER, lasting=False)
            yield change

    def _change(self, text: str, action: Action, question: str, seed: int) -> Change:
        change = Change(text, NO_ANSWER)
        for number in range(self.tries):
            change = change_of(self.asked.answers(question, 1, seed * self.tries + number)[0], text, action)
            if not change.fault:
                break
        return change


def change_of(answer: str, text: str, action: Action) -> Change:
    r"""Return what comes of an answer: its line of whole sentences, or the text as it was where that is nonsense.

    Examples
    --------
    >>> shorter = Action("shorter", "generic", ("Make it shorter.",), "Change this: {text} {wish}")
    >>> change_of("Here it is:\n\nA quiet kettle. It boi", "Buy this quiet kettle.", shorter).text
    'A quiet kettle.'
    """
    said = whole(line_of(answer), text)
    fault = nonsense(said, text, action)
    return Change(text, fault) if fault else Change(said)


def whole(answer: str, text: str) -> str:
    """Return the whole sentences of an answer that are not too long for a text, where the text ends with one.

    So a limit of tokens cuts nothing in two, and what goes on for too long is short.

    Examples
    --------
    >>> whole("He runs. Nobody knows wh", "He walks.")
    'He runs.'
    """
    if text.rstrip()[-1:] not in _ENDS:
        return answer
    kept, most = "", _most_words(text)
    for found in _SENTENCE.finditer(answer):
        if kept and len(normalised(answer[: found.end()]).split()) > most:
            break
        kept = answer[: found.end()]
    return kept or answer


def nonsense(answer: str, text: str, action: Action) -> str:
    """Return why an answer is no changed text, in a word or two; nothing where it may be one.

    Examples
    --------
    >>> shorter = Action("shorter", "generic", ("Make it shorter.",), "Change this: {text} {wish}")
    >>> nonsense("I'm sorry, but I cannot.", "Buy this quiet kettle.", shorter)
    'a refusal'
    """
    said, before = normalised(answer), normalised(text)
    if not any(letter.isalpha() for letter in answer):
        return "empty"
    if _REFUSAL.match(answer.replace("’", "'")):
        return "a refusal"
    if said == before:
        return "the text again"
    if any(f" {part} " in f" {said} " for part in _parts(action)):
        return "the prompt again"
    if len(said.split()) > _most_words(text):
        return "too long"
    if _repeats(said.split()):
        return "it repeats itself"
    if text.rstrip()[-1:] in _ENDS and answer[-1:] not in '.!?…"”':
        return "not finished"
    return ""


def _most_words(text: str) -> int:
    return _LONGER * len(normalised(text).split()) + _ROOM


def _repeats(words: Sequence[str]) -> bool:
    """Say whether some words in a row come twice."""
    runs = [tuple(words[place : place + _ROW]) for place in range(len(words) - _ROW + 1)]
    return len(set(runs)) < len(runs)


def _parts(action: Action) -> list[str]:
    """Return what the prompt says beside the text, by its lines and sentences."""
    lines = re.split(r"[\n.:{}]+", " ".join((*action.wishes, action.frame)))
    wishes = [normalised(wish) for wish in action.wishes]
    return [*wishes, *(part for line in lines if len((part := normalised(line)).split()) >= _LEAST)]
