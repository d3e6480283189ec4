"""``copyloom slots``: the places of a shop's pages that texts are shown at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from copyloom import InputError, in_words
from experiments.commands import console
from experiments.commands.options import DEFAULT, NOBODY, By, Commands, Json, Reason, Shop, Tenant, output
from experiments.commands.settings import takes
from experiments.storefront.config import SlotConfig, SlotSettings

slots_app = Commands(no_args_is_help=True, help="Open, list and set the slots of a shop's pages.")


@slots_app.command("open")
@takes(
    SlotConfig, "texts", "column", "subject", "own", "impressions", "model", "segment_by", "seed", "device", model=None
)  # smollm2 where it is installed: `open_slot`
def open_(
    slot: Annotated[str, typer.Argument(help="Its name: small letters, digits, '.', '_' and '-'.")],
    database: Shop,
    *,
    asked: dict[str, Any],
    config: Annotated[Path | None, typer.Option(help="YAML settings of the campaign: all of `SlotConfig`.")] = None,
    segment: Annotated[list[str] | None, typer.Option(help="A value of segment-by; once for each.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, as holdout=0.1; once for each.")
    ] = None,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    as_json: Json = False,
) -> None:
    """Open a slot: its texts are shown from now on, all alike; the database is made where there is none."""
    from experiments.campaigns.given import given_texts
    from experiments.storefront.screening import screen_all
    from experiments.storefront.slots import Slots, open_slot, open_storefront

    told = {**asked, **({"segments": tuple(segment)} if segment else {})}
    settled = SlotConfig.checked(**told) if config is None else SlotConfig.from_yaml(config, **told)
    given = given_texts(settled)
    try:
        settings = SlotSettings.model_validate(_pairs(setting or []))
    except ValidationError as error:
        raise InputError(in_words(error)) from None
    engine = open_storefront(database)
    open_slot(engine, tenant, slot, settled, given, settings, by)
    slots = Slots(engine)
    screen_all(engine, slots, tenant)  # as the tenant's brand rules would have it later
    found = _of(slots.get(tenant, slot))
    console.deliver(found, lambda one: console.out.print(f"Open: {slot}, showing {one['texts']} texts"), as_json)


@slots_app.command("list")
def list_(database: Shop, tenant: Tenant = DEFAULT, as_json: Json = False) -> None:
    """List the slots of a tenant with their settings."""
    from experiments.storefront.slots import Slots, open_storefront

    found = [_of(slot) for slot in Slots(open_storefront(database, create=False)).of(tenant)]
    rows = [[one["slot"], one["settings"]["mode"], str(one["texts"]), str(one["waiting"]), str(one["snapshot"])]
            for one in found]  # fmt: skip
    console.deliver(
        {"slots": found},
        lambda _: console.table(f"Slots of {tenant}", ["slot", "mode", "texts", "in review", "snapshot"], rows),
        as_json,
    )


@slots_app.command("set")
def set_(
    slot: Annotated[str, typer.Argument(help="Its name.")],
    changes: Annotated[list[str], typer.Argument(help="Settings that change, as mode=off holdout=0.1.")],
    database: Shop,
    reason: Reason,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    as_json: Json = False,
) -> None:
    """Change settings of a slot; every process follows within two seconds, and the old ones stay on record."""
    from experiments.storefront.slots import Slots, change_settings, open_storefront

    engine = open_storefront(database, create=False)
    settings = change_settings(engine, Slots(engine).get(tenant, slot), _pairs(changes), by, reason)
    found = settings.model_dump()
    rows = [[name, str(value)] for name, value in found.items()]
    console.deliver(found, lambda _: console.table(f"Settings of {slot}", ["setting", "value"], rows), as_json)


@slots_app.command("log")
def log(
    slot: Annotated[str, typer.Argument(help="Its name.")],
    database: Shop,
    out: Annotated[Path, output("Parquet file, or CSV by its ending: a row for each event that closed.")],
    tenant: Tenant = DEFAULT,
    as_json: Json = False,
) -> None:
    """Write the log of a slot, as `copyloom evaluate` reads it: texts, propensities, rewards, hashed visitors."""
    from experiments.storefront.log import write_log
    from experiments.storefront.slots import Slots, open_storefront

    engine = open_storefront(database, create=False)
    many = write_log(engine, Slots(engine).get(tenant, slot), out)
    console.deliver({"out": str(out), "events": many}, lambda _: console.out.print(f"{many:,} events: {out}"), as_json)


def _pairs(changes: list[str]) -> dict[str, Any]:
    """Return settings that are written as name=value; values are read as YAML."""
    found = {}
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise InputError(f"{change!r} was given; write settings as name=value, such as mode=off")
        if name.strip() not in SlotSettings.model_fields:
            known = ", ".join(SlotSettings.model_fields)
            raise InputError(f"{change!r} was given; there is no such setting; the settings are: {known}")
        try:
            found[name.strip()] = yaml.safe_load(value) if name.strip() not in _TEXTS else value
        except yaml.YAMLError:
            raise InputError(f"the value of {change!r} cannot be read; write it as in YAML") from None
    return found


_TEXTS = ("mode", "baseline", "aggregation")  # or YAML would read off as a truth value


def _of(slot: Any) -> dict[str, Any]:
    from experiments.storefront import review

    state = slot.state
    return {"slot": slot.name, "texts": len(state.shown), "waiting": len(review.waiting(state)),
            "version": slot.version, "snapshot": state.snapshots[-1].snapshot,
            "settings": slot.settings.model_dump()}  # fmt: skip
