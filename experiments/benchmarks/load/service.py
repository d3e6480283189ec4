"""The service that the load is sent to: the real application, and a route beside it that does nothing."""

from __future__ import annotations

import json
import socket
import sys
import threading
from multiprocessing import get_context

import uvicorn

from experiments.campaigns.given import given_texts
from experiments.storefront.app import create_app
from experiments.storefront.auth import SCOPES, make_key
from experiments.storefront.config import SlotConfig, SlotSettings
from experiments.storefront.schemas import DecideBody
from experiments.storefront.serve import end_with_parent, steady, work
from experiments.storefront.service import BUSY_SECONDS, Options
from experiments.storefront.slots import DEFAULT_TENANT, open_slot, open_storefront
from experiments.storefront.worker import Worker


def main(database: str, write: bool) -> None:
    """Serve a new slot until the process is told to stop."""
    engine = open_storefront(database, busy_seconds=BUSY_SECONDS)
    config = SlotConfig(impressions=500)
    settings = SlotSettings(window_seconds=2, grace_seconds=1)
    open_slot(engine, DEFAULT_TENANT, "demo", config, given_texts(config), settings, "the benchmark")
    key, _ = make_key(engine, DEFAULT_TENANT, "benchmark", SCOPES, "the benchmark")
    app = create_app(engine, Options(rate_limit="10000000/minute"))

    @app.post("/nothing")
    async def nothing(body: DecideBody) -> dict[str, str]:
        """Read a question, and answer nothing."""
        return {"event_id": body.event_id}

    worker = (work, (database, 1.0)) if write else (close_windows, (database,))
    get_context("spawn").Process(target=worker[0], args=worker[1], daemon=True).start()
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    print(json.dumps({"url": url, "key": key}), flush=True)
    steady()
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run(sockets=[listening])


def close_windows(database: str) -> None:
    """Close windows each second, as a process of its own."""
    end_with_parent()
    Worker(open_storefront(database), write=False).run(1.0, threading.Event())


if __name__ == "__main__":
    main(sys.argv[1], "--write" in sys.argv)
