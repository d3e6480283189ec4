"""Which rules keep a text of a mixture from being shown: of form, grammar and truth, and against copies and pastes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from difflib import SequenceMatcher

from embeddings.mixed import Mixed
from generator.agreement import made_work, number_faults, without_things
from generator.checks import Checker, Refusal, WritingRules, normalised
from generator.grammar import Grammar
from generator.other_facts import said_again
from generator.readability import grammar_faults
from generator.reader import GrammarReader, mixed_facts
from generator.unbacked import unbacked_claims
from generator.words import free_words, inventions, ordinary_words, unheld

_LONGEST_PASTE = 0.85
LONG = 120
"""Characters that a text about a subject may have, whatever its parents'."""
_COPY = 0.85
"""`likeness` from which on a text is a copy."""
_RUN = 3
"""Share of a text that may come word for word from two parents or more, in runs of so many words."""


def refusals_of(mixture: Mixed, texts: Sequence[str], uncounted: bool) -> list[list[Refusal]]:
    """Return the rules that keep each text from being shown; a record's name that is `uncounted` takes no article."""
    check = _checker(mixture)
    usual = {fault.message for parent in mixture.parents for fault in grammar_faults(parent)}
    return [[*check.refusals(text), *_of_sources(mixture, text, uncounted), *_of_grammar(text, usual)]
            for text in texts]  # fmt: skip


def _checker(mixture: Mixed) -> Checker:
    """Return the checks of form, and against copies, for texts beside the parents of a mixture."""
    parents, record = mixture.parents, mixture.record
    rules, stored = WritingRules.like(parents), [*parents, *mixture.apart]
    if record is not None:
        rules = rules.model_copy(update={"max_characters": max(rules.max_characters, LONG)})
        return Checker(rules, stored, GrammarReader(Grammar.load(), record))
    grammar = None if any(mixed_facts(parent, Grammar.load()) for parent in parents) else Grammar.load()
    return Checker(rules, stored, grammar=grammar, family=parents, any_style=True)


def _of_sources(mixture: Mixed, text: str, uncounted: bool) -> list[Refusal]:
    """Return refusals for what no source holds, and without a record for near copies and pastes."""
    found = [
        Refusal("invented", f"{word!r} stands in none of its sources")
        for word in inventions(text, mixture.sources, ordinary_words())
    ]
    found += [Refusal("unbacked claim", f"{words!r} ({kind}) stands in none of its sources")
              for kind, words in unbacked_claims(text, mixture.sources)]  # fmt: skip
    if mixture.record is not None:
        found += [
            Refusal("unknown word", f"{word!r} says what the record does not") for word in strays(text, mixture.sources)
        ]
        found += [Refusal("repetition", f"says {fact!r} again") for fact in said_again(text, mixture.record)]
        found += [
            Refusal("agreement", f"{words!r} do not agree in number")
            for words in number_faults(text, mixture.record.name, mixture.sources, uncounted)
        ]
        found += [Refusal("agreement", f"{words!r}: a thing must follow") for words in without_things(text)]
        found += [
            Refusal("agreement", f"{words!r}: what is done is made of nothing")
            for words in made_work(text, mixture.record.name)
        ]
        return found
    near = next((parent for parent in (*mixture.parents, *mixture.apart) if is_copy(text, parent)), None)
    if near is not None:
        found.append(Refusal("copy", f"nearly the same words as {near}"))
    if is_paste(text, mixture.parents):
        found.append(Refusal("concatenation", "the beginning of one text and the end of another"))
    return found


def _of_grammar(text: str, usual: Collection[str]) -> list[Refusal]:
    """Return refusals for faults of grammar that the parents do not have."""
    return [Refusal("grammar", f"{fault.words!r}: {fault.message}") for fault in grammar_faults(text)
            if fault.message not in usual]  # fmt: skip


def strays(text: str, sources: Sequence[str]) -> list[str]:
    """Return the words of a text that no source holds and that people do not use freely."""
    return [word for word in unheld(text, sources) if word not in free_words()]


def is_copy(text: str, other: str) -> bool:
    """Say whether a text is nearly another, a piece of it, or its sentences in another order.

    Examples
    --------
    >>> is_copy("Hear every note.", "Why settle for flat sound? Hear every note.")
    True
    >>> is_copy("Hear every note. Why settle for flat sound?", "Why settle for flat sound? Hear every note.")
    True
    >>> is_copy("From £45: new lenses in your own frames.", "New lenses in your own frames from £45.")
    False
    """
    if f" {normalised(text)} " in f" {normalised(other)} ":
        return True
    mine, theirs = ({normalised(one) for one in re.split(r"(?<=[.!?]) ", said)} for said in (text, other))
    return mine == theirs or likeness(text, other) >= _COPY


def likeness(text: str, other: str) -> float:
    """Return how much of two texts is the same words in the same order: 1 where all is.

    Examples
    --------
    >>> likeness("Only people with curly hair know.", "Only the people with curly hair know")
    0.923...
    """
    return SequenceMatcher(None, normalised(text).split(), normalised(other).split(), autojunk=False).ratio()


def is_paste(text: str, parents: Sequence[str]) -> bool:
    """Say whether nearly all of a text is runs of three words or more from two or more of its parents.

    Examples
    --------
    >>> parents = ["Stay dry on every trail with our hiking backpack.", "Why settle for flat sound? Hear every note."]
    >>> is_paste("Why settle for flat dry on every trail with our backpack.", parents)
    True
    >>> is_paste("Why settle for wet socks? Our backpack stays dry on every trail.", parents)
    False
    """
    words = normalised(text).split()
    theirs = [f" {normalised(parent)} " for parent in parents]
    covered, used, place = 0, set[int](), 0
    while place < len(words):
        longest, owner = 0, 0
        for number, parent in enumerate(theirs):
            run = 0
            while place + run < len(words) and f" {' '.join(words[place : place + run + 1])} " in parent:
                run += 1
            if run > longest:
                longest, owner = run, number
        if longest >= _RUN:
            covered += longest
            used.add(owner)
        place += max(longest, 1)
    return len(used) > 1 and covered >= _LONGEST_PASTE * len(words)
