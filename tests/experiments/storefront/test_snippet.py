"""The snippet in a real browser: a page gets its text, says that it was seen, and that someone clicked."""

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PAGE = Path(__file__).parents[3] / "examples/shop/page.html"
CLICKS = """<script>addEventListener("load", function () { setTimeout(function () {
  document.querySelector(".buy").click(); document.querySelector(".buy").click(); }, 1500); });</script></body>"""


@contextlib.contextmanager
def served(pages: dict[str, str]) -> Iterator[str]:
    """Pages on a port of this machine."""

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
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


def seen(url: str, folder: Path) -> str:
    """What a browser makes of a page after some seconds."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--dump-dom",
               "--virtual-time-budget=6000", url]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return next(line for line in found.splitlines() if "<h1" in line)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
def test_a_page_shows_what_was_decided_and_tells_what_happened(tmp_path):
    pages: dict[str, str] = {}
    with served(pages) as shop:
        command = [
            Path(sys.executable).with_name("copyloom"),
            "serve",
            "--demo",
            "--model",
            "copyloom-tiny",
            "--json",
            "--origin",
            shop,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
            try:
                said = json.loads(service.stdout.readline())
                page = PAGE.read_text().replace("{{url}}", said["url"]).replace("{{key}}", said["key"])
                pages["/"] = page.replace("</body>", CLICKS)
                pages["/away"] = page.replace("</body>", CLICKS).replace(
                    'data-key="', 'data-url="http://127.0.0.1:9" data-key="'
                )
                shown = seen(f"{shop}/", tmp_path / "one")
                assert 'data-copyloom-reason="bandit"' in shown or 'data-copyloom-reason="holdout"' in shown
                assert "Our lightweight backpack." not in shown
                counts = counted(said["url"])
                assert (counts["exposures_total"], counts['rewards_total{state="joined"}']) == (1, 1)
                assert counts['rewards_total{state="duplicate"}'] == 1
                away = seen(f"{shop}/away", tmp_path / "two")
                assert 'data-copyloom-reason="fallback"' in away
                assert ">Our lightweight backpack.<" in away
            finally:
                service.terminate()


def counted(url: str) -> dict[str, float]:
    """The service's counters, once the second click has come."""
    found: dict[str, float] = {}
    for _ in range(50):
        lines = [line.rsplit(" ", 1) for line in httpx.get(f"{url}/metrics").text.splitlines() if line[:1] != "#"]
        found = {name.removeprefix("copyloom_"): float(value) for name, value in lines}
        if 'rewards_total{state="duplicate"}' in found:
            break
        time.sleep(0.1)
    return found
