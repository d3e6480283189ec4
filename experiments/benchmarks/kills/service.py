"""The processes that are killed: a service that answers over a pipe, and a worker that closes windows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import numpy as np
from sqlalchemy.exc import DatabaseError

from copyloom import CopyloomError
from experiments.campaigns.campaign import Campaign
from experiments.campaigns.events import Admitted, Happening, Published
from experiments.campaigns.ledger import Ledger
from experiments.storefront import LiveCampaign, review
from experiments.storefront.journal import ConflictError
from experiments.storefront.slots import DEFAULT_TENANT, open_storefront
from experiments.storefront.worker import Worker

SLOT = "hero"
Made = TypeVar("Made")
Answer = tuple[str, Any]
"""ok, conflict, refused (by a rule) or failed, and what was said."""


def serve(database: str, pipe: Connection, threads: int) -> None:
    """Answer what comes over a pipe, as (number, operation, arguments), until it is closed."""
    said = threading.Lock()
    campaign = patiently(lambda: LiveCampaign(open_storefront(database), SLOT))
    with campaign as hero, ThreadPoolExecutor(threads) as pool:

        def reply(number: int, operation: str, arguments: dict[str, Any]) -> None:
            found = answer(hero, operation, arguments)
            with said:
                pipe.send((number, found))

        while True:
            try:
                pool.submit(reply, *pipe.recv())
            except EOFError:
                return


def work(database: str, every: float) -> None:
    """Close windows for ever; nothing is written, which takes a model."""
    patiently(lambda: Worker(open_storefront(database), write=False)).run(every, threading.Event())


def patiently(make: Callable[[], Made]) -> Made:
    """Return what can be made once the server of the database answers."""
    while True:
        try:
            return make()
        except (CopyloomError, DatabaseError):
            time.sleep(0.1)


def answer(hero: LiveCampaign, operation: str, arguments: dict[str, Any]) -> Answer:
    """Do what was asked, and return what came of it."""
    try:
        return "ok", _OPERATIONS[operation](hero, **arguments)
    except ConflictError as error:
        return "conflict", str(error)
    except CopyloomError as error:
        return "failed" if "try again" in str(error) else "refused", str(error)
    except Exception as error:
        return "failed", repr(error)


def _decide(hero: LiveCampaign, event: str, **question: Any) -> dict[str, Any]:
    said = hero.decide(event, **question)
    if said.reason == "fallback":
        raise ConnectionError("the decision is not on record")
    return dict(vars(said))


def _reward(hero: LiveCampaign, event: str, reward: str, value: float) -> str:
    return hero.reward(event, value, reward_id=reward)


def _write(hero: LiveCampaign, text: str) -> None:
    review.write(hero.engine, hero.slots, DEFAULT_TENANT, SLOT, text, "anna")


def _act(hero: LiveCampaign, action: review.Action, text: str) -> None:
    review.decide(hero.engine, hero.slots, DEFAULT_TENANT, SLOT, action, [text], "bert", "kills")


def _publish(hero: LiveCampaign, seed: int) -> None:
    """Let approved texts join, and publish random chances: what a worker does, without a model."""
    campaign, ledger = Campaign(f"{DEFAULT_TENANT}/{SLOT}", ()), Ledger(hero.engine, shared=True)
    ledger.resume([campaign])
    with ledger.step([campaign]) as record:
        joining = tuple(campaign.state.waiting)
        happened: list[Happening] = [Admitted(texts=joining)] if joining else []
        record([happened])
        state = campaign.state
        shown, floor = set(state.shown), state.opening.policy.floor
        free = 1 - floor * len(shown)
        shares = iter(np.random.default_rng(seed).dirichlet(np.ones(len(shown))).tolist())
        chances = tuple(floor + free * next(shares) if text in shown else 0.0 for text in state.slate)
        record([[Published(snapshot=len(state.snapshots), probabilities=chances, impressions=1)]])
    hero.slots.refresh()


def _set(hero: LiveCampaign, **changes: Any) -> None:
    hero.set("anna", "kills", **changes)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "decide": _decide,
    "expose": lambda hero, event: hero.expose(event),
    "reward": _reward,
    "write": _write,
    "approve": lambda hero, text: _act(hero, "approve", text),
    "pause": lambda hero, text: _act(hero, "pause", text),
    "resume": lambda hero, text: _act(hero, "resume", text),
    "publish": _publish,
    "set": _set,
}
