"""Proves from the clients' history and the database that nothing was lost, doubled or shown unapproved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select

from embeddings.database import reading
from experiments.benchmarks.kills.history import read
from experiments.benchmarks.kills.service import SLOT
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.ledger import Ledger
from experiments.storefront.folding import Fault
from experiments.storefront.rebuild import rebuild
from experiments.storefront.slots import DEFAULT_TENANT
from experiments.storefront.tables import DecisionRow, ExposureRow, OutcomeRow, PendingRow, RewardRow, event_key
from experiments.storefront.verify import verify

CLICK_ABOVE = 0.3
"""Below the least worth of two rewards, and above one's, so that a reward that counts twice is a click too many."""
_NAME = f"{DEFAULT_TENANT}/{SLOT}"


def check(path: Path, engine: Engine) -> list[Fault]:
    """Return what is wrong; all windows must be closed, and the rewards of an event be worth their sum."""
    found = _Checker(path, engine)
    return [*found.faults(), *verify(engine), *rebuild(engine, check=True).faults]


class _Checker:
    def __init__(self, path: Path, engine: Engine) -> None:
        self.answers: dict[str, list[Any]] = defaultdict(list)
        self.rewards: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
        self.sent: set[tuple[str, str]] = set()
        self.exposed: set[str] = set()
        self.approvals: set[str] = set()
        self.acts: list[tuple[str, str]] = []
        for line in read(path):
            self._take(line)
        campaign = Campaign(_NAME, ())
        Ledger(engine).resume([campaign])
        self.state = campaign.state
        with reading(engine) as connection:
            self.decided = {row.event_id: row for row in connection.execute(select(DecisionRow.__table__))}
            self.closed = {row.key: row for row in connection.execute(select(OutcomeRow.__table__))}
            self.rows = {(row.key, row.reward_id): row for row in connection.execute(select(RewardRow.__table__))}
            self.shown = set(connection.scalars(select(ExposureRow.key)))
            self.open = list(connection.scalars(select(PendingRow.key)))

    def _take(self, line: dict[str, Any]) -> None:
        match line:
            case {"sent": "reward"}:
                self.sent.add((event_key(DEFAULT_TENANT, line["event"]), line["reward"]))
            case {"sent": "approve"}:
                self.approvals.add(line["text"])
            case {"acknowledged": "decide", "answer": answer}:
                self.answers[line["event"]].append(answer)
            case {"acknowledged": "reward", "answer": [_, said]}:
                self.rewards[line["event"], line["reward"]].append((line["value"], said))
            case {"acknowledged": "expose", "answer": ["ok", _]}:
                self.exposed.add(line["event"])
            case {"acknowledged": "write" | "approve", "answer": ["ok", _]}:
                self.acts.append((line["acknowledged"], line["text"]))

    def faults(self) -> Iterator[Fault]:
        """Yield what is wrong."""
        for key in self.open:
            yield _fault("closing", key, "open", "closed, as all windows have ended")
        for event, answers in self.answers.items():
            yield from self._decision(event, answers)
        for (event, reward), said in self.rewards.items():
            yield from self._reward(event, reward, said)
        for key, reward in self.rows.keys() - self.sent:
            yield _fault("reward", key, f"the reward {reward!r}", "only what was sent")
        for event in self.exposed:
            if event_key(DEFAULT_TENANT, event) not in self.shown:
                yield _fault("record", event, "no exposure", "one, as was acknowledged")
        yield from self._counts()
        for act, text in self.acts:
            if text not in self.state.usable or (act == "approve" and text not in self.state.reviews):
                yield _fault("record", repr(text), f"no sign of its {act}", "what was acknowledged")

    def _decision(self, event: str, answers: list[Any]) -> Iterator[Fault]:
        """Yield where answers differ, or differ from what is on record, or show what nobody approved of."""
        row = self.decided.get(event)
        if row is None:
            yield _fault("record", event, "no decision", f"{answers[0]}, as was acknowledged")
            return
        text = self.state.slate[row.place] if row.place < len(self.state.slate) else None
        right = {"event_id": event, "text": text, "propensity": row.propensity, "snapshot": row.snapshot,
                 "reason": row.reason}  # fmt: skip
        approved = {*self.state.opening.slate, *self.approvals}  # one of these stands in for what was withdrawn since
        for answer in answers:
            withdrawn = answer[0] == "ok" and answer[1]["reason"] == "killed" and answer[1]["text"] in approved
            if answer != ["ok", right | ({"text": answer[1]["text"], "reason": "killed"} if withdrawn else {})]:
                yield _fault("answer", event, f"{answer}", f"{right}")
            if answer[0] == "ok" and answer[1]["text"] not in approved:
                yield _fault("approval", event, f"{answer[1]['text']!r} was served", "texts that were approved")
        if row.key not in self.closed:
            yield _fault("closing", event, "no outcome", "one, as all windows have ended")

    def _reward(self, event: str, reward: str, said: list[tuple[float, str]]) -> Iterator[Fault]:
        """Yield where an acknowledged reward is not on record, or not as it was acknowledged."""
        row, name = self.rows.get((event_key(DEFAULT_TENANT, event), reward)), f"{event} {reward}"
        if row is None:
            yield _fault("reward", name, "not on record", f"{said[0]}, as was acknowledged")
            return
        first = [answer for _, answer in said if answer != "duplicate"]
        if len(first) > 1 or any(value != row.value for value, _ in said):
            yield _fault("reward", name, f"{row.value} on record, answers {said}", "one that is not a duplicate")
        for answer in first:
            if row.late != (answer == "late"):
                yield _fault("reward", name, f"{'late' if row.late else 'on time'} on record", f"{answer}, as answered")

    def _counts(self) -> Iterator[Fault]:
        """Yield where an event is not worth the sum of its rewards on time, or the campaign's counts are not theirs."""
        worth: dict[str, float] = defaultdict(float)
        for (event, reward), said in self.rewards.items():
            row = self.rows.get((event_key(DEFAULT_TENANT, event), reward))
            answers = {answer for _, answer in said}
            if not (row.late if answers == {"duplicate"} and row is not None else "late" in answers):
                worth[event] += said[0][0]
        shown, clicked = ([0] * len(self.state.slate) for _ in range(2))
        for event, row in self.decided.items():
            outcome = self.closed.get(row.key)
            if outcome is None or outcome.why == "void":
                continue
            value = min(worth[event], 1.0)
            shown[row.place] += 1
            clicked[row.place] += value > CLICK_ABOVE
            if abs(outcome.value - value) > 1e-9:
                yield _fault("outcome", event, f"{outcome.value:g}", f"{value:g}, the sum of what was acknowledged")
        totals = [counts.tolist() for counts in self.state.totals]
        if totals != [shown, clicked]:
            yield _fault("counts", _NAME, f"{totals} impressions and clicks", f"{[shown, clicked]}, by the history")


def _fault(rule: str, subject: str, found: str, expected: str) -> Fault:
    return Fault("history", rule, subject, found, expected)
