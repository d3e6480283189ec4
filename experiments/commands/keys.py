"""``copyloom keys``: keys of the service, and the secrets of webhooks that come in and go out."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from experiments.commands import console
from experiments.commands.console import iso
from experiments.commands.options import DEFAULT, NOBODY, By, Commands, Json, Reason, Shop, Tenant

keys_app = Commands(no_args_is_help=True, help="Make, list and revoke keys of the service.")
webhooks_app = Commands(no_args_is_help=True, help="Webhooks that come in, and those that go out: their secrets.")
keys_app.add_typer(webhooks_app, name="webhook")


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
    found = [{"prefix": key.prefix, "name": key.name, "scopes": sorted(key.scopes), "created_at": iso(key.created_at),
              "revoked_at": iso(key.revoked_at)} for key in keys]  # fmt: skip
    rows = [[key.prefix, key.name, " ".join(sorted(key.scopes)), iso(key.created_at) or "", iso(key.revoked_at) or ""]
            for key in keys]  # fmt: skip
    console.deliver(
        {"keys": found},
        lambda _: console.table(f"Keys of {tenant}", ["prefix", "name", "scopes", "made", "revoked"], rows),
        as_json,
    )


@keys_app.command("revoke")
def revoke(
    number: Annotated[
        str, typer.Argument(metavar="ID", help="What stands between the first two _ of the key; of a secret its id.")
    ],
    database: Shop,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Let a key, or a secret of a webhook, hold no more; services stop taking a key within two seconds."""
    from experiments.storefront.auth import revoke as end
    from experiments.storefront.slots import open_storefront

    end(open_storefront(database, create=False), tenant, number, by, reason)
    console.deliver({"revoked": number}, lambda _: console.out.print(f"Revoked: {number}"), as_json)


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
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Allow an http:// address of another machine: anyone on the way reads.")
    ] = False,
    tenant: Tenant = DEFAULT,
    by: By = NOBODY,
    as_json: Json = False,
) -> None:
    """Tell a URL, signed, from now on: which texts wait, are approved or paused, which slots a guardrail turned off."""
    from experiments.storefront.outbox import add
    from experiments.storefront.slots import open_storefront

    secret = add(open_storefront(database, create=False), tenant, name, url, by, plain_http=plain_http)
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
    found = [{"name": one.name, "id": one.id, "created_at": iso(one.created_at), "revoked_at": iso(one.revoked_at)}
             for one in list_secrets(engine, tenant)]  # fmt: skip
    out = [{"name": one.name, "url": one.url, "sent": one.sent, "due": one.due, "given_up": one.given_up,
            "last": one.last, "ended_at": iso(one.ended_at)} for one in targets(engine, tenant)]  # fmt: skip

    def show(_: dict[str, Any]) -> None:
        rows = [[value or "" for value in one.values()] for one in found]
        console.table(f"Webhooks to {tenant}", ["name", "secret's id", "made", "revoked"], rows)
        rows = [["" if value is None else str(value) for value in one.values()] for one in out]
        console.table("From it", ["name", "to", "sent", "due", "given up", "last failure", "ended"], rows)

    console.deliver({"webhooks": found, "targets": out}, show, as_json)
