"""What people do to a campaign: approve or reject what was written, write themselves, pause, retire.

Like the phases of the loop, each reads a state and returns what happens to it; none needs a model.
"""

from __future__ import annotations

from collections.abc import Sequence

from copyloom import InputError
from embeddings.summary import Lineage
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Draft, Happening, Paused, Published, Retired, Reviewed, Written
from experiments.campaigns.state import State, same_person


def review(campaign: Campaign, texts: Sequence[str], approved: bool, by: str, reason: str = "") -> list[Happening]:
    """Let written texts of a campaign be shown, or not, in a person's name.

    Raises
    ------
    InputError
        If one was never written for the campaign, `by` wrote one of those that are approved, or one that is rejected is
        on the slate.
    """
    state = campaign.state
    if unknown := [text for text in texts if text not in state.usable]:
        raise InputError(f"{unknown[0]!r} was not written for {campaign.name}, or was refused; review what waits")
    _check_name(by)
    if approved and (own := [text for text in texts if same_person(state.authors.get(text, ""), by)]):
        raise InputError(f"{by} wrote {own[0]!r}; another person must approve it")
    if not approved and (live := [text for text in texts if text in state.slate]):
        raise InputError(f"{live[0]!r} is on the slate of {campaign.name}; retire it, or pause it")
    return [Reviewed(texts=tuple(texts), approved=approved, by=by, reason=reason)]


def write(campaign: Campaign, text: str, by: str, instead_of: str | None = None) -> list[Happening]:
    """Add a text that a person wrote: anew, or as a better version of one that was written or is stored.

    It waits for another person's approval, and may become a parent like any other.

    Raises
    ------
    InputError
        If the campaign knows the text already, or does not know the one that it replaces.
    """
    state = campaign.state
    _check_name(by)
    if not text.strip():
        raise InputError("a text without a word was given; write one")
    if not text.isprintable() or text != " ".join(text.split()):
        raise InputError(f"{text!r} holds characters that are not seen, or spaces too many; leave them out")
    if text in state.slate or text in state.usable:
        raise InputError(f"{text!r} is a text of {campaign.name} already; write another one")
    if instead_of is not None and instead_of not in {*state.slate, *state.parents, *state.usable}:
        raise InputError(f"{instead_of!r} is no text of {campaign.name}; name the text that was rewritten")
    return [Written(drafts=(Draft(Lineage((instead_of or text,), (1.0,)), text),), by=by)]


def retire(campaign: Campaign, texts: Sequence[str], reason: str, by: str = "") -> list[Happening]:
    """Show texts of a campaign no more.

    Raises
    ------
    InputError
        If one is not on the slate or a holdout's, or none would be left.
    """
    _check(campaign, texts, "retire")
    return [Retired(texts=tuple(texts), reason=reason, by=by)]


def pause(campaign: Campaign, texts: Sequence[str], by: str, reason: str = "") -> list[Happening]:
    """Do not show texts of a campaign until they are resumed.

    Raises
    ------
    InputError
        If one is not on the slate or a holdout's, or none would be left.
    """
    _check(campaign, texts, "pause")
    return [Paused(texts=tuple(texts), paused=True, by=by, reason=reason)]


def resume(campaign: Campaign, texts: Sequence[str], by: str, reason: str = "") -> list[Happening]:
    """Let paused texts of a campaign be shown again, from the next snapshot that it learns.

    Raises
    ------
    InputError
        If one is not paused.
    """
    if unknown := [text for text in texts if text not in campaign.state.paused]:
        raise InputError(f"{unknown[0]!r} is not paused by {campaign.name}; resume only what is")
    return [Paused(texts=tuple(texts), paused=False, by=by, reason=reason)]


def first_snapshot(state: State, impressions: int) -> Published:
    """Return the snapshot of a campaign of which nothing is known: all texts alike."""
    return _snapshot(state, [[1.0] * len(state.slate)] * len(state.opening.segments), impressions)


def without_hidden(state: State) -> Published:
    """Return the last snapshot without the texts that may not be shown any more; the others keep their proportions."""
    last = state.snapshots[-1]
    chances = [last.chances(segment) for segment in range(len(state.opening.segments))]
    return _snapshot(state, chances, last.impressions)


def _snapshot(state: State, chances: Sequence[Sequence[float]], impressions: int) -> Published:
    shown = set(state.shown)
    rows = [_shares([chance if text in shown else 0.0 for text, chance in _paired(state, row)], state)
            for row in chances]  # fmt: skip
    overall = rows[0]
    if state.tells_apart:
        seen = state.by_segment[0].sum(0) + 1.0
        overall = tuple((seen / seen.sum() @ rows).tolist())
    by_segment = tuple(rows) if state.tells_apart else ()
    learned = state.snapshots[-1].learned if state.snapshots else 0
    return Published(snapshot=len(state.snapshots), probabilities=overall, impressions=impressions,
                     by_segment=by_segment, learned=learned)  # fmt: skip


def _paired(state: State, chances: Sequence[float]) -> list[tuple[str, float]]:
    """Return the texts of the slate with their chances; those that joined since have none."""
    return list(zip(state.slate, [*chances, *[0.0] * (len(state.slate) - len(chances))], strict=True))


def _shares(chances: Sequence[float], state: State) -> tuple[float, ...]:
    """Return chances that sum to 1; alike for all that may be shown, where none of those had any."""
    total = sum(chances)
    if total > 0:
        return tuple(chance / total for chance in chances)
    shown = set(state.shown)
    return tuple((text in shown) / len(shown) for text in state.slate)


def _check_name(by: str) -> None:
    if not by.strip():
        raise InputError("nobody is named; say who does this, it stays on record")


def _check(campaign: Campaign, texts: Sequence[str], what: str) -> None:
    state = campaign.state
    there = set(state.slate) - state.retired
    if unknown := [text for text in texts if text not in there]:
        raise InputError(f"{unknown[0]!r} is not shown by {campaign.name}; {what} only texts of its slate")
    if state.control in texts:
        raise InputError(f"{state.control!r} is the holdout's text of {campaign.name}; it must stay")
    if not set(state.shown) - set(texts):
        raise InputError(f"{campaign.name} would have nothing left to show; leave one text at least")
