"""What can happen to a campaign: small frozen values, the only way in which a campaign ever changes.

An event names a text of the slate by its place, as the slate only grows; everything else it says in full, so that it
can be read without what came before it. `experiments.campaigns.state.apply` says what each of them does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from embeddings.summary import Lineage
from experiments.campaigns.config import PolicyConfig
from generator.checks import Refusal

SCHEMA_VERSION = 1
"""Of what events say; a ledger with events of another version is refused."""


@dataclass(frozen=True)
class Draft:
    """What a mixture was put into words as, and every reason against showing it.

    Parameters
    ----------
    lineage : Lineage
        The mixture. Of one lineage several drafts may come.
    text : str
        "" where nothing was fit to print.
    refusals : tuple of Refusal
    """

    lineage: Lineage
    text: str
    refusals: tuple[Refusal, ...] = ()


class _Happening(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Opened(_Happening):
    """The campaign began.

    Parameters
    ----------
    slate : tuple of str
        Texts that may be shown at once.
    parents : tuple of str
        Stored texts that may be mixed.
    segments : tuple of str
        Names of the groups of shoppers that outcomes tell apart.
    mixing : bool
        Whether new texts are written.
    review : bool
        Whether a person must approve of a text before it is shown.
    policy : PolicyConfig
        What shares its impressions.
    """

    kind: Literal["opened"] = "opened"
    slate: tuple[str, ...]
    parents: tuple[str, ...]
    segments: tuple[str, ...]
    mixing: bool = True
    review: bool = False
    policy: PolicyConfig = PolicyConfig()


class Written(_Happening):
    """Mixtures were put into words and checked.

    Parameters
    ----------
    drafts : tuple of Draft
    chances : tuple of tuples of float
        With which first parent, second parent and weights of each draft were drawn, where a policy draws them.
    by : str
        Who wrote them, where a person did; "" for the campaign's own writer.
    """

    kind: Literal["written"] = "written"
    drafts: tuple[Draft, ...]
    chances: tuple[tuple[float, ...], ...] = ()
    by: str = ""


class Reviewed(_Happening):
    """A person let written texts be shown, or did not."""

    kind: Literal["reviewed"] = "reviewed"
    texts: tuple[str, ...]
    approved: bool
    by: str
    reason: str = ""


class Admitted(_Happening):
    """Written texts joined the slate, in this order."""

    kind: Literal["admitted"] = "admitted"
    texts: tuple[str, ...]


class Promoted(_Happening):
    """Written texts became parents; their summary embeddings are in the pool."""

    kind: Literal["promoted"] = "promoted"
    texts: tuple[str, ...]


class Published(_Happening):
    """Impressions began to be drawn with these probabilities, one for each text of the slate.

    Parameters
    ----------
    snapshot : int
        Its number, from 0.
    probabilities : tuple of float
        Over all segments, where those are told apart: weighted by the impressions that each had so far.
    impressions : int
        How many are asked for.
    by_segment : tuple of tuples of float
        The probabilities in each segment, where the policy tells them apart; else nothing.
    learned : int
        Closed impressions that it was learned from.
    """

    kind: Literal["published"] = "published"
    snapshot: int
    probabilities: tuple[float, ...]
    impressions: int
    by_segment: tuple[tuple[float, ...], ...] = ()
    learned: int = 0

    def chances(self, segment: int) -> tuple[float, ...]:
        """Return the probabilities in a segment, by its number."""
        return self.by_segment[segment] if self.by_segment else self.probabilities


class Closed(_Happening):
    """Impressions closed: nothing can change any more what came of them.

    Parameters
    ----------
    id : str
        Of the outcome; a second event of one id changes nothing.
    snapshot : int
        From which the texts were drawn.
    counts : tuple of (place, segment, impressions, clicks)
        Of each text, by its place on the slate, in each segment, by its number; those without impressions are left out.
    context : str
        What else is known of the impressions.
    """

    kind: Literal["closed"] = "closed"
    id: str
    snapshot: int
    counts: tuple[tuple[int, int, int, int], ...]
    context: str = ""


class Retired(_Happening):
    """Texts are shown no more, from the next snapshot on."""

    kind: Literal["retired"] = "retired"
    texts: tuple[str, ...]
    reason: str
    by: str = ""


class Paused(_Happening):
    """Texts are not shown for a while, from the next snapshot on, or may be shown again."""

    kind: Literal["paused"] = "paused"
    texts: tuple[str, ...]
    paused: bool
    by: str
    reason: str = ""


Happening = Opened | Written | Reviewed | Admitted | Promoted | Published | Closed | Retired | Paused
HAPPENING: TypeAdapter[Happening] = TypeAdapter(Annotated[Happening, Field(discriminator="kind")])
"""Reads what `Happening.model_dump_json` wrote."""


@dataclass(frozen=True)
class Event:
    """Something that happened, as the ledger keeps it.

    Parameters
    ----------
    campaign : str
    sequence : int
        Its place among the campaign's events, from 0, without gaps.
    at : datetime
        UTC.
    what : Happening
    version : int
        `SCHEMA_VERSION` under which it was written.
    """

    campaign: str
    sequence: int
    at: datetime
    what: Happening
    version: int = SCHEMA_VERSION

    @cached_property
    def body(self) -> str:
        """What happened, as JSON."""
        return self.what.model_dump_json()

    @property
    def id(self) -> str:
        """32 hexadecimal digits that this event alone has: of its campaign, place and body, whenever it was written."""
        return sha256(f"{self.campaign}\0{self.sequence}\0{self.body}".encode()).hexdigest()[:32]
