"""The pages of a storefront, rendered here: overview, review queue, texts, settings, audit. No script is needed.

Texts are other people's, so nothing of them is ever markup: templates escape all, and a strict Content-Security-Policy
runs no script and takes no style but our two files. Every change is a form with a token, answered by a redirect.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends
from sqlalchemy import Engine

from experiments.storefront.auth import Keys
from experiments.storefront.frame import safe_route, script, style
from experiments.storefront.journal import Clock, now
from experiments.storefront.pages.desk import Desk
from experiments.storefront.pages.looking import Looking
from experiments.storefront.pages.settings import SettingsPages
from experiments.storefront.pages.signing_in import SigningIn
from experiments.storefront.pages.texts import TextPages
from experiments.storefront.rates import Rates
from experiments.storefront.service import Options
from experiments.storefront.slots import Slots


def pages(
    engine: Engine, slots: Slots, keys: Keys, clock: Clock = now, options: Options | None = None,
    rates: Rates | None = None,
) -> APIRouter:  # fmt: skip
    """Return the routes of the pages, all under ``/ui``.

    Parameters
    ----------
    engine : Engine
    slots : Slots
    keys : Keys
        With which people sign in: ``read`` looks, ``review`` approves, rejects and edits, ``publish`` pauses, retires
        and turns a slot off, ``admin`` changes settings; ``publish`` and ``admin`` set brand rules.
    clock : callable, optional
    options : Options, optional
        How often one address may ask for pages and try to sign in.
    rates : Rates, optional
        What counts that.
    """
    desk = Desk(engine, slots, keys, clock, options or Options(), rates or Rates())
    begin, looking, texts, settings = SigningIn(desk), Looking(desk), TextPages(desk), SettingsPages(desk)
    router = APIRouter(prefix="/ui", route_class=safe_route(desk.templates), include_in_schema=False,
                       dependencies=[Depends(desk.admit)])  # fmt: skip
    get, post = router.get, router.post
    get("/style.css")(style)
    get("/review.js")(script)
    get("/login")(begin.login_page)
    post("/login")(begin.login)
    post("/logout")(begin.logout)
    get("")(looking.home)
    get("/audit")(looking.audit)
    get("/slots/{name}")(looking.overview)
    get("/slots/{name}/review")(texts.queue)
    post("/slots/{name}/review")(texts.act_in_queue)
    get("/slots/{name}/texts")(texts.texts)
    get("/slots/{name}/texts/{number}")(texts.text)
    post("/slots/{name}/texts/{number}")(texts.act_on_text)
    get("/slots/{name}/settings")(settings.settings)
    post("/slots/{name}/settings")(settings.change)
    post("/slots/{name}/off")(settings.turn_off)
    get("/brand")(settings.brand)
    post("/brand")(settings.set_brand)
    return router
