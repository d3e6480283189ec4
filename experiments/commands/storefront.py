"""``copyloom serve``, ``worker``, ``keys`` and ``slots``: a shop's service, and what people set up for it."""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from copyloom import InputError, in_words
from experiments.commands import console
from experiments.commands.options import Commands, Json, output
from experiments.commands.settings import takes
from experiments.storefront.config import SlotConfig, SlotSettings

Shop = Annotated[str, typer.Option("--database", help="Path of a SQLite file, or a PostgreSQL URL.")]
Tenant = Annotated[str, typer.Option(help="Whose it is; a tenant sees nothing of another.")]
By = Annotated[str, typer.Option(help="In whose name; it stays on record.")]
Reason = Annotated[str, typer.Option(help="Why; it stays on record.")]
DEFAULT = "default"
NOBODY = "the command line"

keys_app = Commands(no_args_is_help=True, help="Make, list and revoke keys of the service.")
webhooks_app = Commands(no_args_is_help=True, help="Webhooks that come in, and those that go out: their secrets.")
keys_app.add_typer(webhooks_app, name="webhook")
slots_app = Commands(no_args_is_help=True, help="Open, list and set the slots of a shop's pages.")
brand_app = Commands(no_args_is_help=True, help="Check brand rules, set them, and read their versions.")


def serve(
    database: Annotated[str | None, typer.Option(help="Path of a SQLite file, or a PostgreSQL URL.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Serve the shipped claims as slot 'demo', with a worker, and print a key.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option(help="Where the demo keeps its database; deleted unless given.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="What writes for the demo; smollm2 where it is installed.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all, behind a proxy.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="Port; 8000, of a demo any free one, unless given.", min=0, max=65535)
    ] = None,
    rate_limit: Annotated[str, typer.Option(help="Requests of one key: 100/second, 60000/minute.")] = "60000/minute",
    address_limit: Annotated[
        str, typer.Option(help="Requests of one network address with a public key, which a page's visitors share.")
    ] = "1200/minute",
    proxy: Annotated[
        list[str] | None,
        typer.Option(help="Address or network of a proxy on another machine, whose X-Forwarded-For is believed."),
    ] = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds that a page waits for the database before it gets the baseline.", min=0.01)
    ] = 2.0,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="A web site whose pages may ask (CORS), as https://shop.example; once for each."),
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error; of a demo warning.")] = "",
    as_json: Json = False,
) -> None:
    """Serve a shop: which text its pages show, and what shoppers did with it."""
    need("fastapi", "limits", "prometheus_client", "structlog", "uvicorn", extra="serve")
    from experiments.storefront.serve import serve_database, serve_demo
    from experiments.storefront.service import Options, as_browsers_send

    if demo == (database is not None):
        raise InputError("give either --database, with slots from `copyloom slots open`, or --demo, to try it out")
    if not demo and (folder, model) != (None, None):
        raise InputError("--folder and --model are of a demo; with --database leave them out")
    origins = tuple(map(as_browsers_send, origin or ()))
    options = Options(rate_limit=rate_limit, address_limit=address_limit, timeout_seconds=timeout, origins=origins,
                      proxies=(*Options.proxies, *(proxy or ())))  # fmt: skip
    options.check()
    level = _level(log_level or ("warning" if demo else "info"))
    if database is not None:
        serve_database(database, host, 8000 if port is None else port, options, level, _said(as_json, None))
        return
    serve_demo(folder, model, host, port or 0, options, level, lambda key: _said(as_json, key))


def work(
    database: Shop,
    every: Annotated[float, typer.Option(help="Seconds between two looks at what is due.", min=0.1)] = 5.0,
    once: Annotated[bool, typer.Option("--once", help="Do what is due now, and end.")] = False,
    as_json: Json = False,
) -> None:
    """Close windows, learn, write and publish for all slots of a shop, until it is stopped; one of these is enough."""
    import threading

    from experiments.storefront.outbox import Outbox
    from experiments.storefront.slots import open_storefront
    from experiments.storefront.tracing import export
    from experiments.storefront.worker import Worker, give_way

    export("copyloom worker")
    engine = open_storefront(database, create=False)
    with console.progress() as report:
        worker = Worker(engine, report)
        if not once:
            give_way()
            console.notes.print(f"working every {every:g} s; Ctrl-C ends it at any moment, nothing is lost")
            worker.run(every, threading.Event())
            return
        done = worker.round()
        Outbox(engine, worker.slots).round()
    console.deliver({name: str(said) if isinstance(said, Exception) else vars(said) for name, said in done.items()},
                    _show_done, as_json)  # fmt: skip
    if failed := [said for said in done.values() if isinstance(said, Exception)]:
        raise InputError(f"{len(failed)} of {len(done)} slots could not be worked for: {failed[0]}")


@keys_app.command("make")
def make(
    database: Shop,
    name: Annotated[str, typer.Option(help="Who uses it: what is done with it is done in this name.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="decide, reward, read, review, publish or admin; once for each.")
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="It stands in a page: decide and reward alone, and each visitor's share.")
    ] = False,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    as_json: Json = False,
) -> None:
    """Make a key, and print it: this once, for only its hash is kept."""
    from experiments.storefront.auth import make_key
    from experiments.storefront.slots import open_storefront

    scopes = scope or (["decide", "reward"] if public else [])
    presented, key = make_key(open_storefront(database, create=False), tenant, name, scopes, by, public=public)
    found = {"key": presented, "prefix": key.prefix, "tenant": tenant, "name": name, "scopes": sorted(key.scopes),
             "public": key.public}  # fmt: skip
    console.deliver(found, lambda one: console.out.print(one["key"]), as_json)


@keys_app.command("list")
def listed(database: Shop, tenant: Tenant = DEFAULT, as_json: Json = False) -> None:
    """List the keys of a tenant; by their prefixes, for the keys themselves are not kept."""
    from experiments.storefront.auth import list_keys
    from experiments.storefront.slots import open_storefront

    keys = list_keys(open_storefront(database, create=False), tenant)
    found = [{"prefix": key.prefix, "name": key.name, "scopes": sorted(key.scopes), "created_at": _iso(key.created_at),
              "revoked_at": _iso(key.revoked_at)} for key in keys]  # fmt: skip
    rows = [[key.prefix, key.name, " ".join(sorted(key.scopes)), _iso(key.created_at) or "", _iso(key.revoked_at) or ""]
            for key in keys]  # fmt: skip
    console.deliver(
        {"keys": found},
        lambda _: console.table(f"Keys of {tenant}", ["prefix", "name", "scopes", "made", "revoked"], rows),
        as_json,
    )


@keys_app.command("revoke")
def revoke(
    prefix: Annotated[str, typer.Argument(help="What stands between the first two _ of the key.")],
    database: Shop,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Let a key hold no more; services stop taking it within two seconds."""
    from experiments.storefront.auth import revoke_key
    from experiments.storefront.slots import open_storefront

    revoke_key(open_storefront(database, create=False), tenant, prefix, by, reason)
    console.deliver({"revoked": prefix}, lambda _: console.out.print(f"Revoked: {prefix}"), as_json)


@webhooks_app.command("make")
def make_webhook(
    name: Annotated[str, typer.Argument(help="Of the webhook: its address ends in it.")],
    database: Shop,
    given: Annotated[
        bool, typer.Option("--given", help="Take the sender's own secret, a line of standard input.")
    ] = False,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    as_json: Json = False,
) -> None:
    """Make a secret of a webhook, and print it; earlier ones hold until they are revoked."""
    from experiments.storefront.intake.webhooks import make_secret
    from experiments.storefront.slots import open_storefront

    own = typer.get_text_stream("stdin").readline() if given else None
    presented, kept = make_secret(open_storefront(database, create=False), tenant, name, by, own)
    found = {"secret": presented, "id": kept.id, "path": f"/v1/webhooks/{name}", "tenant": tenant}
    console.deliver(found, lambda one: console.out.print(f"{one['path']}\n{one['secret']}"), as_json)


@webhooks_app.command("add")
def add_target(
    name: Annotated[str, typer.Argument(help="By which it is called here.")],
    url: Annotated[str, typer.Argument(help="Where messages are sent: https://…")],
    database: Shop,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    as_json: Json = False,
) -> None:
    """Tell a URL, signed, from now on: which texts wait and are approved, which slots a guardrail turned off."""
    from experiments.storefront.outbox import add
    from experiments.storefront.slots import open_storefront

    secret = add(open_storefront(database, create=False), tenant, name, url, by)
    console.deliver({"name": name, "secret": secret}, lambda one: console.out.print(one["secret"]), as_json)


@webhooks_app.command("drop")
def drop_target(
    name: Annotated[str, typer.Argument(help="As it was added.")],
    database: Shop,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    as_json: Json = False,
) -> None:
    """Tell a URL no more; what was due is not sent."""
    from experiments.storefront.outbox import drop
    from experiments.storefront.slots import open_storefront

    drop(open_storefront(database, create=False), tenant, name, by)
    console.deliver({"dropped": name}, lambda _: console.out.print(f"Dropped: {name}"), as_json)


@webhooks_app.command("list")
def list_webhooks(database: Shop, tenant: Tenant = DEFAULT, as_json: Json = False) -> None:
    """List a tenant's webhooks: those that come in by the ids of their secrets, those that go out with what is due."""
    from experiments.storefront.intake.webhooks import list_secrets
    from experiments.storefront.outbox import targets
    from experiments.storefront.slots import open_storefront

    engine = open_storefront(database, create=False)
    found = [{"name": one.name, "id": one.id, "created_at": _iso(one.created_at), "revoked_at": _iso(one.revoked_at)}
             for one in list_secrets(engine, tenant)]  # fmt: skip
    out = [{"name": one.name, "url": one.url, "sent": one.sent, "due": one.due, "given_up": one.given_up,
            "last": one.last, "ended_at": _iso(one.ended_at)} for one in targets(engine, tenant)]  # fmt: skip

    def show(_: dict[str, Any]) -> None:
        rows = [[value or "" for value in one.values()] for one in found]
        console.table(f"Webhooks to {tenant}", ["name", "secret's id", "made", "revoked"], rows)
        rows = [["" if value is None else str(value) for value in one.values()] for one in out]
        console.table("From it", ["name", "to", "sent", "due", "given up", "last failure", "ended"], rows)

    console.deliver({"webhooks": found, "targets": out}, show, as_json)


@webhooks_app.command("revoke")
def revoke_webhook(
    secret: Annotated[str, typer.Argument(metavar="ID", help="Of the secret, from the list.")],
    database: Shop,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Let a secret of a webhook hold no more, at once."""
    from experiments.storefront.intake.webhooks import revoke_secret
    from experiments.storefront.slots import open_storefront

    revoke_secret(open_storefront(database, create=False), tenant, secret, by, reason)
    console.deliver({"revoked": secret}, lambda _: console.out.print(f"Revoked: {secret}"), as_json)


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


def need(*modules: str, extra: str) -> None:
    """Raise `InputError` unless modules are installed, which an extra brings."""
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            raise InputError(
                f"the service needs {error.name}; install it with: pip install 'copyloom[{extra}]'"
            ) from None


def _level(level: str) -> str:
    allowed = ("debug", "info", "warning", "error")
    if level not in allowed:
        raise InputError(f"--log-level {level!r} was given; choose one of {', '.join(allowed)}")
    return level


def _said(as_json: bool, key: str | None) -> Any:
    """Return what tells where a service is ready."""

    def tell(url: str) -> None:
        if as_json:
            console.print_json({"url": url, "key": key} if key else {"url": url})
        elif key is None:
            console.out.print(f"Serving at {url}; {url}/openapi.json says what can be asked. Ctrl-C ends it.")
        else:
            body = '{"event_id": "1", "slot": "demo"}'
            console.out.print(f"Serving at {url}; {url}/openapi.json says what can be asked. Ctrl-C ends it.\n"
                              f"Key: {key}\n\nTry:\ncurl {url}/v1/decide -H 'Authorization: Bearer {key}' "
                              f"-H 'Content-Type: application/json' -d '{body}'")  # fmt: skip

    return tell


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


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def _show_done(found: dict[str, Any]) -> None:
    rows = [[name, said, "", ""] if isinstance(said, str) else
            [name, str(said["closed"]), str(said["published"] or "-"), str(said["written"])]
            for name, said in found.items()]  # fmt: skip
    console.table("Done", ["slot", "outcomes", "snapshot", "written"], rows)


@brand_app.command("check")
def check_(
    file: Annotated[Path, typer.Argument(help="Brand rules: YAML.")],
    texts: Annotated[Path | None, typer.Argument(help="Texts to hold to them: one a line, or a table.")] = None,
    column: Annotated[str | None, typer.Option(help="Of a table, the column of the texts.")] = None,
    slot: Annotated[str | None, typer.Option(help="By the rules as they hold in this slot.")] = None,
    as_json: Json = False,
) -> None:
    """Read brand rules, and say which texts break them; the exit status is 1 if one does."""
    from experiments.texts import read_lines
    from generator.brand_book import BrandBook

    book = BrandBook.from_yaml(file)
    rules = book.of(slot or "")
    lines = read_lines(texts, column) if texts else []
    against = {text: [one.reason for one in rules.refusals(text)] for text in lines}
    broken = {text: reasons for text, reasons in against.items() if reasons}
    found = {"file": str(file), "rules": book.written(), "texts": len(lines), "broken": broken}
    console.deliver(found, _show_checked, as_json)
    if broken:
        raise typer.Exit(1)


@brand_app.command("set")
def set_brand(
    file: Annotated[Path, typer.Argument(help="Brand rules: YAML.")],
    database: Shop,
    by: By,
    reason: Reason,
    tenant: Tenant = DEFAULT,
    version: Annotated[
        int | None, typer.Option(help="The version that you looked at: refused if someone set another meanwhile.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make brand rules hold, and hold all texts to them: what breaks them is listed, and paused if they say so."""
    from experiments.storefront.brand import set_book
    from experiments.storefront.screening import screen_all
    from experiments.storefront.slots import Slots, open_storefront
    from generator.brand_book import BrandBook

    book = BrandBook.from_yaml(file)
    engine = open_storefront(database, create=False)
    made = set_book(engine, tenant, book, by, reason, version)
    broken = screen_all(engine, Slots(engine), tenant)
    found = {"version": made.number, "broken": [
        {"slot": one.slot, "text": one.text, "state": one.state, "did": one.did, "refusals": list(one.refusals)}
        for one in broken]}  # fmt: skip
    console.deliver(found, _show_set, as_json)


@brand_app.command("show")
def show_brand(database: Shop, tenant: Tenant = DEFAULT, as_json: Json = False) -> None:
    """Print the brand rules that hold, as `set` takes them."""
    from experiments.storefront.brand import current
    from experiments.storefront.slots import open_storefront

    now = current(open_storefront(database, create=False), tenant)
    found = {"version": now.number, "by": now.by, "reason": now.reason, "at": _iso(now.at), "rules": now.book.written()}
    said = f"# version {now.number}, by {now.by}, {_iso(now.at)}: {now.reason}\n{now.book.yaml()}"
    none = f"# {tenant} has no brand rules; set some with `copyloom brand set`"
    console.deliver(found, lambda _: console.out.print(said if now.number else none, markup=False), as_json)


@brand_app.command("history")
def brand_history(database: Shop, tenant: Tenant = DEFAULT, as_json: Json = False) -> None:
    """List the versions of the brand rules: who set them, when, why, and what changed."""
    from experiments.storefront.brand import differences, history
    from experiments.storefront.slots import open_storefront

    versions = differences(history(open_storefront(database, create=False), tenant))
    found = [{"version": one.number, "by": one.by, "reason": one.reason, "at": _iso(one.at),
              "rules": one.book.written()} for one, _ in versions]  # fmt: skip
    marks = {"added": "+", "removed": "-", "same": " "}

    def show(_: Any) -> None:
        for one, lines in versions:
            console.out.print(f"version {one.number}, {_iso(one.at)}, by {one.by}: {one.reason}", markup=False)
            for line, how in lines:
                console.out.print(f"  {marks[how]} {line}", markup=False)

    console.deliver({"versions": found}, show, as_json)


def _show_checked(found: dict[str, Any]) -> None:
    console.out.print(f"{found['file']} can be used.")
    if found["texts"]:
        console.out.print(f"{len(found['broken'])} of {found['texts']} texts break the rules.")
    if found["broken"]:
        console.table("Broken", ["text", "why"], [[text, "; ".join(why)] for text, why in found["broken"].items()])


def _show_set(found: dict[str, Any]) -> None:
    console.out.print(f"Version {found['version']} holds; {len(found['broken'])} texts break it.")
    if found["broken"]:
        rows = [[one["slot"], one["text"], one["state"], "; ".join(one["refusals"]), one["did"] or "-"]
                for one in found["broken"]]  # fmt: skip
        console.table("Broken", ["slot", "text", "stood", "why", "done"], rows)
