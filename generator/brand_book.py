"""What a brand says of its texts: words that it bans or wants, claims that it does not make, length, and its tone."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import regex
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from copyloom import InputError
from generator.checks import Refusal
from generator.settings import validated
from generator.unbacked import unbacked_claims
from generator.words import UNSPACED

_SECONDS = 0.05
"""How long a pattern may take for one of the texts that it is tried on."""
_MOST_SECONDS = 0.5
"""For a text later on: `regex` counts what all threads of the process compute meanwhile."""
_PROBES = ("a" * 400, "ab " * 140, "1" * 400 + "!", " " * 400, "a.b-c_" * 70)
"""Texts that make a pattern slow whose parts repeat each other."""
_KEPT = "kept"

ClaimKind = Literal["urgency", "scarcity", "social proof", "offer"]


def _one_line(text: str) -> str:
    words = " ".join(text.split())
    if not words.strip("* "):
        raise ValueError("an empty entry; write a word or leave it out")
    if not words.isprintable():
        raise ValueError(f"{text!r} holds characters that nobody can see; take them out")
    return words


Words = Annotated[str, Field(max_length=500), AfterValidator(_one_line)]
"""A word, or some in a row; ``*`` at its end stands for any ending."""
_SlotName = Annotated[str, Field(max_length=63)]
_MANY, _LONGEST = 500, 100_000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Pattern(_Part):
    """A regular expression that no text may match, and why.

    Parameters
    ----------
    pattern : str
        As Python's package ``regex`` reads it, in any case.
    says : str
        What is wrong with a text that matches, in plain words.
    """

    pattern: Annotated[str, Field(min_length=1, max_length=500)]
    says: Words

    @model_validator(mode="after")
    def _can_be_used(self, info: ValidationInfo) -> Self:
        try:
            compiled = self.compiled
        except regex.error as error:
            raise ValueError(f"{self.pattern!r} is no regular expression: {error}") from None
        if info.context == _KEPT:
            return self
        try:
            for probe in _PROBES:
                compiled.search(probe, timeout=_SECONDS)
        except TimeoutError:
            raise ValueError(
                f"{self.pattern!r} takes too long for some texts; let its repeated parts not repeat each other"
            ) from None
        return self

    @cached_property
    def compiled(self) -> regex.Pattern[str]:
        """The expression, ready for use."""
        return regex.compile(self.pattern, regex.IGNORECASE)

    def found(self, text: str) -> str | None:
        """Return what a text has that it must not; None where it has nothing."""
        try:
            match = self.compiled.search(text, timeout=_MOST_SECONDS)
        except TimeoutError:
            return text
        return match[0] if match else None


class Length(_Part):
    """How long a text may be.

    Parameters
    ----------
    characters, words : tuple of int, optional
        From and to, both included: ``[20, 90]``.
    """

    characters: tuple[int, int] | None = None
    words: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name in ("characters", "words"):
            limits = getattr(self, name)
            if limits and not 0 <= limits[0] <= limits[1]:
                raise ValueError(f"{name} is {list(limits)}; write the least first, as [20, 90]")
        return self


class Tone(_Part):
    """Texts that sound like the brand, and such as do not: advice to people, and no rule.

    Parameters
    ----------
    good, bad : tuple of str
        Examples; three of each at least, or nothing is said.
    """

    good: Annotated[tuple[Words, ...], Field(max_length=_MANY)] = ()
    bad: Annotated[tuple[Words, ...], Field(max_length=_MANY)] = ()


class BrandRules(_Part):
    """What a text must keep to.

    Parameters
    ----------
    banned : tuple of str
        Words or phrases that must not appear, in any case; ``guarantee*`` bans all that begins so.
    patterns : tuple of Pattern
        Regular expressions that must not match.
    claims : tuple of str
        Kinds of selling claims that must not be made, whatever backs them: urgency, scarcity, social proof, offer.
    required : tuple of str or tuple of str
        Words that must appear; of several in a list, one.
    length : Length
    """

    banned: Annotated[tuple[Words, ...], Field(max_length=_MANY)] = ()
    patterns: Annotated[tuple[Pattern, ...], Field(max_length=100)] = ()
    claims: Annotated[tuple[ClaimKind, ...], Field(max_length=_MANY)] = ()
    required: Annotated[
        tuple[Words | Annotated[tuple[Words, ...], Field(min_length=1, max_length=100)], ...], Field(max_length=100)
    ] = ()
    length: Length = Length()

    def refusals(self, text: str) -> list[Refusal]:
        """Return every reason of the brand's against a text; none where it keeps to the rules."""
        plain = text.replace("’", "'")
        found = [Refusal("banned", f"the brand bans {words!r}") for words in self.banned if _holds(plain, words)]
        found += [Refusal("brand pattern", f"{match!r}: {one.says}")
                  for one in self.patterns if (match := one.found(plain)) is not None]  # fmt: skip
        found += [Refusal("brand claim", f"{words!r} claims {kind}, which the brand does not")
                  for kind, words in unbacked_claims(text, ()) if kind in self.claims]  # fmt: skip
        for wanted in self.required:
            some = (wanted,) if isinstance(wanted, str) else wanted
            if not any(_holds(plain, words) for words in some):
                said = " or ".join(map(repr, some))
                found.append(Refusal("brand word", f"the brand wants {said} in each text"))
        counts = (len(text), "characters", self.length.characters), (len(text.split()), "words", self.length.words)
        return found + [Refusal("brand length", f"{many} {what}; the brand allows {limits[0]} to {limits[1]}")
                        for many, what, limits in counts if limits and not limits[0] <= many <= limits[1]]  # fmt: skip


class BrandBook(BrandRules):
    """The rules of a brand, as a file of YAML has them; those of a slot stand instead of the common ones.

    Parameters
    ----------
    tone : Tone
    when_broken : str
        What becomes of texts that break rules which are new: ``pause`` those that are shown, and take back approvals of
        those that are not shown yet; or only ``tell``.
    slots : mapping of str to mapping
        Some of ``banned, patterns, claims, required, length`` for a slot by its name; of 500 slots at most.

    Examples
    --------
    >>> book = BrandBook(banned=["cheap*"], required=[["boot", "boots"]])
    >>> [refusal.reason for refusal in book.refusals("The cheapest shoes.")]
    ["the brand bans 'cheap*'", "the brand wants 'boot' or 'boots' in each text"]
    """

    tone: Tone = Tone()
    when_broken: Literal["pause", "tell"] = "pause"
    slots: Annotated[dict[_SlotName, BrandRules], Field(max_length=_MANY)] = Field(default_factory=dict)

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Return the rules in a file; see `read`."""
        try:
            return cls.read(path.read_text(encoding="utf-8-sig"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path} cannot be read: {error}; give a file of YAML in UTF-8") from None

    @classmethod
    def read(cls, rules: str, source: str = "the rules") -> Self:
        """Return the rules that somebody wrote as YAML.

        Raises
        ------
        InputError
            If they cannot be read, or hold an unknown key or a wrong value.
        """
        if len(rules) > _LONGEST:
            raise InputError(f"{source}: longer than {_LONGEST:,} characters; write less")
        try:
            data = yaml.safe_load(rules)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f" in line {mark.line + 1}" if mark else ""
            raise InputError(f"{source}: no YAML{where}: {getattr(error, 'problem', None) or error}") from None
        if not isinstance(data, dict | None):
            raise InputError(f"{source}: must be rules by their names, such as 'banned: [cheap]'")
        return validated(cls, data or {}, source)

    @classmethod
    def kept(cls, body: str) -> Self:
        """Return rules that were accepted before, from JSON: they hold, however slow the machine is that reads them."""
        return cls.model_validate_json(body, context=_KEPT)

    @model_validator(mode="after")
    def _examples_keep_them(self, info: ValidationInfo) -> Self:
        if info.context == _KEPT:
            return self
        spoken = self.model_copy(update={"required": (), "length": Length()})  # an example may be of another length
        for text in self.tone.good:
            if found := spoken.refusals(text):
                raise ValueError(
                    f"the good example {text!r} breaks the rules: {found[0].reason}; change one of the two"
                )
        return self

    def of(self, slot: str) -> BrandRules:
        """Return the rules that hold in a slot."""
        own = self.slots.get(slot)
        changed = {} if own is None else {name: getattr(own, name) for name in own.model_fields_set}
        return BrandRules.model_construct(**{name: getattr(self, name) for name in BrandRules.model_fields} | changed)

    def written(self) -> dict[str, object]:
        """Return the rules as a person writes them: what is not said is left out."""
        return self.model_dump(mode="json", exclude_unset=True)

    def yaml(self) -> str:
        """Return the rules as `read` takes them; "" where there are none."""
        said = _inline(self.written())
        return yaml.dump(said, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100) if said else ""


class _Line(list[object]):
    """A list that is written in one line."""


class _Dumper(yaml.SafeDumper):
    """Writes lists within rules in one line, and the others an entry a line, as versions are compared by lines."""


_Dumper.add_representer(_Line, lambda dumper, one: dumper.represent_sequence("tag:yaml.org,2002:seq", one, True))


def _inline(said: Any, name: str = "") -> Any:
    if isinstance(said, dict):
        return {key: _inline(one, key) for key, one in said.items()}
    if isinstance(said, list) and name in ("characters", "words", "claims", "one of"):
        return _Line(said)
    return [_inline(one, "one of") for one in said] if isinstance(said, list) else said


def _holds(text: str, words: str) -> bool:
    """Say whether words stand in a text: in any case, however many spaces are between them.

    Whole ones; anywhere in scripts that put no space between words.
    """
    stem = words.replace("’", "'").removesuffix("*")
    inner = r"\s+".join(map(re.escape, stem.split()))
    apart = not UNSPACED.search(stem)
    begin, end = (r"(?<!\w)" if apart else ""), (r"(?!\w)" if apart and not words.endswith("*") else "")
    return re.search(f"{begin}{inner}{end}", text, re.IGNORECASE) is not None
