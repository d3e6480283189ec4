"""A service on a port, a site of another origin, and a browser: for tests of pages and of the snippet."""

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
SCREENSHOTS = Path(os.environ.get("COPYLOOM_SCREENSHOTS") or Path(__file__).parents[3] / "runs" / "screenshots")
"""Where pages are kept as they looked, for people to see."""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""That pages are held to."""
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync", "--no-proxy-server"]  # fmt: skip


@contextlib.contextmanager
def serving(make: Callable[[str], Any]) -> Iterator[Any]:
    """An application on a free port of this machine, served as `copyloom serve` does; `make` is given its address."""
    from experiments.storefront.serve import server_of

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        app = make(f"http://127.0.0.1:{listening.getsockname()[1]}")
        server = server_of(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield app
        finally:
            server.should_exit = True
            thread.join(10)


@contextlib.contextmanager
def site(pages: dict[str, str]) -> Iterator[str]:
    """Pages of a shop by their paths, on a port of this machine."""

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path.partition("?")[0], "").encode()
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    """Chromium, headless; the test is skipped where it or what drives it is not installed."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the extra dev has it")
    with sync_api.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield found
        finally:
            found.close()


class Visit:
    """A person at a browser of their own, and what went wrong on the pages that they saw."""

    def __init__(self, chromium: Any, **how: Any) -> None:
        self.context = chromium.new_context(**how)
        self.context.set_default_timeout(10_000)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("console", lambda said: said.type in ("error", "warning") and self.errors.append(said.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def picture(self, name: str) -> None:
        """Keep the page as it looks."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def close(self) -> None:
        """Leave; nothing may have gone wrong."""
        self.context.close()
        if self.errors:
            raise AssertionError(self.errors)


def violations(visit: Visit) -> list[str]:
    """What axe has against a page."""
    found = visit.page.evaluate("(options) => axe.run(options)", {"runOnly": RULES, "resultTypes": ["violations"]})
    assert found["passes"]
    return [f"{one['id']} ({one['impact']}): {node['html'][:160]} {node['failureSummary'][:200]}"
            for one in found["violations"] for node in one["nodes"][:3]]  # fmt: skip
