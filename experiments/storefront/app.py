"""The HTTP service: `create_app` puts it together. Read `shoppers` first: what a page asks and tells.

``python -m experiments.storefront.app docs/openapi.json`` writes its description.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter
from sqlalchemy import Engine
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import RedirectResponse

from copyloom import __version__
from experiments.storefront import editors, personalizer, shoppers
from experiments.storefront.access import SECURITY_SCHEMES
from experiments.storefront.gate import Gate, service_log
from experiments.storefront.intake import received
from experiments.storefront.journal import Clock, now
from experiments.storefront.metrics import CONTENT_TYPE
from experiments.storefront.pages import pages
from experiments.storefront.problems import Problem, declared, handle, unavailable
from experiments.storefront.schemas import LINE, Health
from experiments.storefront.service import Options, Service
from experiments.storefront.slots import open_storefront

_DESCRIPTION = """Which text a shop shows, learned from what its shoppers do.

Ask with `decide`, show the text, tell with `expose` and `reward`. Every request may be sent again: what comes twice
counts once. What is acknowledged is on disk.
"""
_SNIPPET = (Path(__file__).parent / "static/copyloom.js").read_bytes()
_PACKED = gzip.compress(_SNIPPET, mtime=0)
health = APIRouter(tags=["operations"])


def create_app(engine: Engine, options: Options | None = None, clock: Clock = now, log: Any = None) -> FastAPI:
    """Return the service over a database, at work already; it ends with the application, or with its ``state.service``.

    Parameters
    ----------
    engine : Engine
        From `experiments.storefront.slots.open_storefront`.
    options : Options, optional
    clock : callable, optional
    log : structlog logger, optional
        See `experiments.storefront.gate.service_log`.
    """
    log = log or service_log()
    service = Service(engine, options, clock, log)

    @asynccontextmanager
    async def until_it_ends(app: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="Copyloom", version=__version__, description=_DESCRIPTION, lifespan=until_it_ends,
                  docs_url=None, redoc_url=None,  # their scripts would come from another site
                  telemetry={"operation_spans": False, "metrics": False, "logs": False},  # spans of requests alone
                  generate_unique_id_function=lambda route: route.name)  # fmt: skip
    app.state.service = service
    handle(app)
    for router in (shoppers.router, received.router, editors.router, personalizer.router, health):
        app.include_router(router)
    of_pages = pages(engine, service.slots, service.keys, clock, service.options, service.rates)
    app.include_router(of_pages, include_in_schema=False)
    if service.options.origins:
        app.add_middleware(CORSMiddleware, allow_origins=service.options.origins, allow_methods=["POST"],
                           allow_headers=["Authorization", "Content-Type", "X-Request-ID"])  # fmt: skip
    app.add_middleware(Gate, metrics=service.metrics, log=log)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


@health.get("/copyloom.js", include_in_schema=False)
async def snippet(request: Request) -> Response:
    """Return what a page needs: see `static/copyloom.js`."""
    headers = {"Cache-Control": "public, max-age=3600", "Vary": "Accept-Encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(_SNIPPET, media_type="text/javascript", headers=headers)
    return Response(_PACKED, media_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"})


@health.get("/", include_in_schema=False)
async def front() -> RedirectResponse:
    """Lead a person to the pages."""
    return RedirectResponse("/ui")


@health.get("/health", summary="Ask whether the process lives")
async def alive() -> Health:
    """Answer, whatever the database does."""
    return Health()


@health.get("/ready", summary="Ask whether it can do its work", responses=declared(503))
async def ready(request: Request) -> Health:
    """Say whether the database can be written in time, and the slots were read lately."""
    if why := await request.app.state.service.ready():
        raise unavailable(f"{why}; decide answers with the baseline meanwhile")
    return Health()


@health.get("/metrics", summary="Count, for Prometheus", response_class=Response,
            responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})  # fmt: skip
def metrics(request: Request) -> Response:
    """Return counters of this process, in which nobody is named."""
    return Response(request.app.state.service.metrics.told(), media_type=CONTENT_TYPE)


def describe() -> dict[str, Any]:
    """Return the service's description: OpenAPI."""
    with TemporaryDirectory() as folder:
        engine = open_storefront(f"{folder}/none.db")
        app = create_app(engine)
        app.state.service.close()
        engine.dispose()
    return app.openapi()


def _described(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        for name, schema in (("Problem", _schema(TypeAdapter(Problem))), ("Line", _schema(LINE))):
            found["components"]["schemas"].update(schema.pop("$defs"), **{name: schema})
        found["components"]["securitySchemes"] = SECURITY_SCHEMES | received.SECURITY_SCHEME
        app.openapi_schema = found
    return app.openapi_schema


def _schema(adapter: TypeAdapter[Any]) -> dict[str, Any]:
    return adapter.json_schema(ref_template="#/components/schemas/{model}")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(describe(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"written: {sys.argv[1]}")
