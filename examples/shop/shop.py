"""A small fake shop whose product page asks a Copyloom service of its own which text to show.

``make shop`` starts it, service and worker included: open the page, click, and look at what happened under /ui.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = Path(__file__).with_name("page.html")
COPYLOOM = str(Path(sys.executable).with_name("copyloom"))


def main() -> None:
    """Serve the shop until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A small fake shop with Copyloom in it.")
    parser.add_argument("--port", type=int, default=8080, help="of the shop")
    parser.add_argument("--service-port", type=int, default=8000, help="of the service")
    parser.add_argument("--folder", default="runs/shop", help="where the service keeps its database")
    given = parser.parse_args()
    check_free("--port", given.port)
    check_free("--service-port", given.service_port)
    Path(given.folder).mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    shop = f"http://127.0.0.1:{given.port}"
    with (
        contextlib.suppress(KeyboardInterrupt),
        service(given.folder, given.service_port, shop) as (url, key),
        key_of_page(f"{given.folder}/demo.db") as page_key,
    ):
        page = PAGE.read_text(encoding="utf-8").replace("{{url}}", url).replace("{{key}}", page_key)
        print(f"the shop      {shop}\nwhat happened {url}/ui\nkey for it    {key}", flush=True)
        serve(page, given.port)


def check_free(option: str, port: int) -> None:
    """End with a word where a port is taken."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise SystemExit(f"{option} {port} cannot be used ({error}); give another one") from None


@contextlib.contextmanager
def service(folder: str, port: int, shop: str) -> Iterator[tuple[str, str]]:
    """Run a service with its worker; give its address, and a key that may do all."""
    command = [COPYLOOM, "serve", "--demo", "--json", "--folder", folder,
               "--port", str(port), "--origin", shop]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise SystemExit("the service did not start; its message is above")
        said = json.loads(line)
        yield said["url"], said["key"]
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def key_of_page(database: str) -> Iterator[str]:
    """Give a key that a page may hold: everyone can read it, so it asks and rewards alone, and ends with us."""
    made = keys("make", database, "--name", "the page", "--public")
    try:
        yield made["key"]
    finally:
        keys("revoke", database, made["prefix"])


def keys(what: str, database: str, *more: str) -> dict[str, str]:
    """Ask `copyloom keys` for something, and return what it says."""
    command = [COPYLOOM, "keys", what, *more, "--database", database, "--json"]
    found: dict[str, str] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def serve(page: str, port: int) -> None:
    """Serve one page."""

    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer with the page."""
            body = page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Shop).serve_forever()


if __name__ == "__main__":
    main()
