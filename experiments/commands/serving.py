"""``copyloom serve`` and ``copyloom worker``: a shop's service, and what learns and writes for it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from copyloom import InputError
from experiments.commands import console
from experiments.commands.options import Json, Shop


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


def _show_done(found: dict[str, Any]) -> None:
    rows = [[name, said, "", ""] if isinstance(said, str) else
            [name, str(said["closed"]), str(said["published"] or "-"), str(said["written"])]
            for name, said in found.items()]  # fmt: skip
    console.table("Done", ["slot", "outcomes", "snapshot", "written"], rows)
