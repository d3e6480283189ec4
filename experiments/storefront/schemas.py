"""Bodies of requests and answers of the service; what they do not name is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    SkipValidation,
    StrictBool,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from copyloom import InputError, in_words
from embeddings.database import text_id
from experiments.storefront.config import Mode, SlotSettings
from experiments.storefront.decide import Choice, Question, Reason, Slot
from experiments.storefront.journal import Joined
from experiments.storefront.review import TextState
from experiments.storefront.values import MAX_KIND, MAX_NAME, check_context
from generator.brand_book import BrandBook

MAX_ACTIONS = 50
_NO_NUL = r"^[^\x00]*$"


class Body(BaseModel):
    """What a caller sends."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


class Answer(BaseModel):
    """What it is answered."""

    model_config = ConfigDict(frozen=True)


def _small(context: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        check_context(context)
    except InputError as error:
        raise ValueError(str(error)) from None
    return context


def _written(value: object) -> object:
    if not (isinstance(value, datetime) or (isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[Tt ]\d\d:", value))):
        raise ValueError("write a time as in RFC 3339: 2026-11-29T12:00:00Z")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except (OverflowError, ValueError):
        raise ValueError("it is outside the years 1 to 9999 in UTC") from None


Id = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=_NO_NUL)]
"""The caller's own name of an event, a reward or a unit."""
Words = Annotated[str, Field(max_length=2000, pattern=_NO_NUL)]
TextId = Annotated[str, Field(min_length=64, max_length=64, pattern="^[0-9a-f]{64}$")]
"""The SHA-256 of a text's UTF-8, in hexadecimal digits."""
SlotName = Annotated[str, Field(min_length=1, max_length=63, pattern=_NO_NUL)]
Context = Annotated[dict[str, JsonValue], AfterValidator(_small)]
Value = Annotated[float, Field(ge=0, le=1, strict=True)]
When = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_in_utc)]
Count = Annotated[int, Field(ge=1, le=1000)]


def _settings(changes: dict[str, JsonValue]) -> dict[str, JsonValue]:
    try:
        SlotSettings.model_validate(changes, strict=True)
    except ValidationError as error:
        raise ValueError(in_words(error)) from None
    return changes


Changes = Annotated[
    dict[str, JsonValue], Field(min_length=1), AfterValidator(_settings),
    WithJsonSchema({"type": "object", "minProperties": 1, "additionalProperties": False,
                    "properties": SlotSettings.model_json_schema()["properties"]}),
]  # fmt: skip
"""Some of the settings of a slot."""


class DecideBody(Body):
    """A question: which text shall this event show. Of a catalogue's texts, those about `product_id` alone."""

    event_id: Id
    slot: SlotName
    unit_id: Annotated[str, Field(max_length=MAX_NAME, pattern=_NO_NUL)] = ""
    context: Context = Field(default_factory=dict)
    product_id: Annotated[str, Field(max_length=MAX_NAME, pattern=_NO_NUL)] = ""
    defer: StrictBool = False

    @property
    def question(self) -> Question:
        """The same, as a slot takes it."""
        return Question(self.event_id, self.unit_id, self.context, self.product_id, self.defer)


class DecideAnswer(Answer):
    """The text to show, with the chance and the snapshot that it was drawn with; both are on record.

    A fallback is the slot's baseline, shown because its decision could not be put on record.
    """

    event_id: str
    text_id: str
    text: str
    propensity: float
    snapshot_id: int
    reason: Reason

    @classmethod
    def of(cls, event_id: str, slot: Slot, choice: Choice) -> DecideAnswer:
        """Return the answer to an event that was given a text of a slot."""
        text = slot.state.slate[choice.place]
        return cls(event_id=event_id, text_id=text_id(text), text=text, propensity=choice.propensity,
                   snapshot_id=choice.snapshot, reason=choice.reason)  # fmt: skip


class ExposeBody(Body):
    """The page showed the text."""

    event_id: Id
    shown_at: When | None = None


class RewardBody(Body):
    """A shopper did something; a reward id that comes twice for an event counts once."""

    event_id: Id
    reward_id: Id
    value: Value
    kind: Annotated[str, Field(max_length=MAX_KIND, pattern=_NO_NUL)] = ""
    at: When | None = None


class RewardAnswer(Answer):
    """What became of a reward: late ones are kept, and not learned."""

    state: Joined


class DecideLine(DecideBody):
    """A decision, as a line of events."""

    type: Literal["decide"]


class ExposeLine(ExposeBody):
    """An exposure, as a line of events."""

    type: Literal["expose"]


class RewardLine(RewardBody):
    """A reward, as a line of events."""

    type: Literal["reward"]


Line = Annotated[DecideLine | ExposeLine | RewardLine, Field(discriminator="type")]
LINE: TypeAdapter[DecideLine | ExposeLine | RewardLine] = TypeAdapter(Line)


class LineAnswer(Answer):
    """What became of a line: its status as if it had come alone, and the answer or the problem."""

    line: int
    status: int
    decision: DecideAnswer | None = None
    reward: RewardAnswer | None = None
    problem: dict[str, Any] | None = None


class EventsAnswer(Answer):
    """What became of each line; `failed` counts those that are not on record."""

    failed: int
    results: list[LineAnswer]


class SlotAnswer(Answer):
    """A slot: its settings and their version, and what it shows."""

    slot: str
    mode: Mode
    snapshot_id: int
    texts: int
    waiting: int
    version: int
    settings: SlotSettings


class Parent(Answer):
    """A parent of a mixed text, and its share."""

    text_id: str
    text: str
    weight: float


class TextAnswer(Answer):
    """A text of a slot, and where it stands."""

    text_id: str
    text: str
    state: TextState
    author: str
    refusals: list[str]
    parents: list[Parent]


class WriteBody(Body):
    """A text that a person wrote: new, or instead of another one, named by its id."""

    slot: SlotName
    text: Annotated[str, Field(min_length=1, max_length=2000, pattern=_NO_NUL)]
    instead_of: TextId | None = None
    reason: Words = ""


class OneTextBody(Body):
    """Why something is done to a text of a slot."""

    slot: SlotName
    reason: Words = ""


class TextsBody(OneTextBody):
    """Some texts of a slot, by their ids, and why something is done to them."""

    texts: Annotated[list[TextId], Field(min_length=1, max_length=1000)]


class SettingsBody(Body):
    """Settings of a slot that change (those of `SlotSettings`), and why; the others stay as they are."""

    changes: Changes
    reason: Annotated[str, Field(min_length=1, max_length=2000, pattern=_NO_NUL)]


class KillBody(Body):
    """Show everyone the baseline; or, with `on`, go back to what was before. The reason stays on record."""

    on: StrictBool = False
    reason: Words = ""


class Chance(Answer):
    """A text of a snapshot with its chance over all segments, and in each where the policy tells them apart."""

    text_id: str
    text: str
    probability: float
    by_segment: dict[str, float] | None = None


class SnapshotAnswer(Answer):
    """What was shown, with which chances."""

    snapshot_id: int
    impressions: int
    slate: list[Chance]


class AuditAnswer(Answer):
    """Who changed what, and why."""

    id: int
    at: datetime
    by: str
    what: str
    subject: str
    before: JsonValue
    after: JsonValue
    reason: str


UnreadRules = SkipValidation[BrandBook]
"""Brand rules as they came: patterns are tried when they are read, for which no shopper must wait."""


class BrandBody(Body):
    """Brand rules, and why they are set."""

    rules: UnreadRules
    reason: Annotated[str, Field(min_length=1, max_length=2000, pattern=_NO_NUL)]


class BrandVersion(Answer):
    """Brand rules as somebody set them; version 0 where nobody did."""

    version: int
    rules: dict[str, JsonValue]
    by: str
    reason: str
    at: datetime | None


class BrandBroken(Answer):
    """A text that breaks the rules, where it stood, and what was done for that."""

    slot: str
    text_id: str
    text: str
    state: TextState
    refusals: list[str]
    did: str


class BrandAnswer(BrandVersion):
    """The brand rules that hold; where they were set just now, with the texts that break them."""

    broken: list[BrandBroken]


class BrandCheckBody(Body):
    """Texts to hold to brand rules: those that hold in a slot, or others."""

    texts: Annotated[list[Annotated[str, Field(max_length=2000)]], Field(min_length=1, max_length=1000)]
    slot: SlotName | None = None
    rules: UnreadRules | None = None


class BrandChecked(Answer):
    """What the rules have against a text."""

    text: str
    refusals: list[str]


class Health(Answer):
    """How the service is."""

    status: Literal["ok"] = "ok"


class RankAction(Body):
    """An action of Personalizer: a text of the slot by its id. Its features are taken, and not used."""

    id: Annotated[str, Field(min_length=1, max_length=256, pattern=_NO_NUL)]
    features: list[JsonValue] = Field(default_factory=list)


class RankBody(Body):
    """Personalizer's question."""

    context_features: Annotated[list[dict[str, JsonValue]], Field(alias="contextFeatures", max_length=100)] = Field(
        default_factory=list
    )
    actions: Annotated[list[RankAction], Field(max_length=MAX_ACTIONS)] = Field(default_factory=list)
    excluded: Annotated[list[Id], Field(alias="excludedActions", max_length=MAX_ACTIONS)] = Field(default_factory=list)
    event_id: Annotated[Id | None, Field(alias="eventId")] = None
    deferred: Annotated[StrictBool, Field(alias="deferActivation")] = False


class Ranked(Answer):
    """An action with its chance; its text where it is one of the slot."""

    id: str
    probability: float
    text: str | None = None


class RankAnswer(Answer):
    """Personalizer's answer, with the text itself."""

    ranking: list[Ranked]
    event_id: Annotated[str, Field(serialization_alias="eventId")]
    reward_action_id: Annotated[str, Field(serialization_alias="rewardActionId")]
    text: str
    reason: Reason


class PersonalizerReward(Body):
    """Personalizer's reward."""

    value: Value
