"""Copyloom behind OpenFeature's interface: a slot is a flag whose value is the text (extra ``openfeature``)."""

from __future__ import annotations

import logging
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from experiments.storefront.client import Client

_log = logging.getLogger(__name__)

EVENT = "event_id"
"""Attribute of an evaluation's metadata, and of a tracked event: which decision it was."""


class CopyloomProvider(AbstractProvider):
    """Resolves text flags by the service; the flag's default value is the fallback.

    The context's targeting key is the unit, its attribute ``product`` the product, the others the context. The
    evaluation's metadata hold `EVENT`; track an event with that attribute to reward the decision.

    Parameters
    ----------
    client : Client
    """

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name="copyloom")

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Return the text of a slot."""
        given = evaluation_context or EvaluationContext()
        context: dict[str, Any] = dict(given.attributes)
        answer = self._client.decide(
            flag_key, default_value, unit=given.targeting_key or "", product=str(context.pop("product", "")),
            context=context,
        )  # fmt: skip
        if answer.propensity is None:
            return FlagResolutionDetails(
                answer.text, error_code=ErrorCode.GENERAL, error_message="the service could not say",
                reason=Reason.ERROR, flag_metadata={EVENT: answer.event_id},
            )  # fmt: skip
        metadata: dict[str, bool | int | float | str] = {
            EVENT: answer.event_id,
            "propensity": answer.propensity,
            "why": answer.reason,
        }
        return FlagResolutionDetails(answer.text, reason=Reason.SPLIT, flag_metadata=metadata)

    def track(
        self, tracking_event_name: str, evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:  # fmt: skip
        """Reward the decision that the details name, once for each name of an event. It never raises: the log says why.

        A reward is from 0 to 1, and no amount of money; 1 where the details have no value.
        """
        details = tracking_event_details or TrackingEventDetails()
        event = details.attributes.get(EVENT)
        if not isinstance(event, str):
            _log.warning("event %r rewards nothing: its details lack the attribute %s, which an evaluation's "
                         "flag_metadata has", tracking_event_name, EVENT)  # fmt: skip
            return
        value = 1.0 if details.value is None else details.value
        try:
            self._client.reward(event, value, reward_id=tracking_event_name, kind=tracking_event_name)
        except Exception as error:  # a shop goes on, whatever failed
            _log.warning("event %r is not rewarded: %s", tracking_event_name, error)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Return the default: a slot's value is a text."""
        return _mismatch(default_value)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Return the default: a slot's value is a text."""
        return _mismatch(default_value)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Return the default: a slot's value is a text."""
        return _mismatch(default_value)

    def resolve_object_details(
        self, flag_key: str, default_value: Any, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[Any]:
        """Return the default: a slot's value is a text."""
        return _mismatch(default_value)


def _mismatch(default: Any) -> FlagResolutionDetails[Any]:
    message = "a slot's value is a text; ask for a string"
    return FlagResolutionDetails(
        default, error_code=ErrorCode.TYPE_MISMATCH, error_message=message, reason=Reason.ERROR
    )
