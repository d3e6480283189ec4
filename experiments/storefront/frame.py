"""What all pages stand in: templates that escape, one style sheet, one script, and headers that allow no other."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import ChoiceLoader, Environment, FileSystemLoader
from sqlalchemy.exc import DatabaseError

from copyloom import CopyloomError
from embeddings.database import text_id
from experiments.reports.report import environment
from experiments.storefront.sessions import TooLargeError
from experiments.storefront.tone import enough

_log = logging.getLogger(__name__)
_TEMPLATES = Path(__file__).parent / "templates"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_MODES = {
    "online": ("Running", "The bandit chooses, learns, and has new texts written."),
    "shadow": ("In the shadow", "Everyone sees the baseline; the bandit's choice is only logged."),
    "frozen": ("Frozen", "The bandit chooses by what it knows; nothing is learned or written."),
    "off": ("Off", "Everyone sees the baseline."),
}


class AnswerError(Exception):
    """A response instead of the page that was asked for."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def safe_route(templates: Environment) -> type[APIRoute]:
    """Return the kind of route that answers by pages alone, each with headers that keep it harmless."""

    class SafeRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    response = await handler(request)
                except AnswerError as answer:
                    response = answer.response
                except TooLargeError:
                    response = plain(templates, 413, "That was too much to take at once.")
                except RequestValidationError:
                    response = plain(templates, 404, "This is not the address of a page.")
                except (CopyloomError, DatabaseError) as error:
                    _log.error("a page cannot be shown: %s", error)
                    words = "The page cannot be shown now. Try again soon; the log of the service says why."
                    response = plain(templates, 503, words)
                response.headers.update(_HEADERS)
                return response

            return handle

    return SafeRoute


def plain(templates: Environment, status: int, words: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a page of some words, for whoever is not known to be signed in."""
    page = templates.get_template("plain.html.j2").render(problem=words)
    return HTMLResponse(page, status, {"Cache-Control": "no-store", **(headers or {})})


def page_environment() -> Environment:
    """Return what the templates know: what those of reports know, and escaping, always."""
    found = environment()
    found.loader = ChoiceLoader([FileSystemLoader(_TEMPLATES, encoding="utf-8"), found.loader])  # type: ignore[list-item]
    found.filters["moment"] = lambda at: at.strftime("%d %b %Y, %H:%M UTC")
    found.filters["points"] = _points
    found.filters["quote"] = quote
    found.filters["signed"] = lambda value: f"{value:+.2f}".replace("-", "−")
    found.globals.update(text_id=text_id, mode_words=_MODES, tone_enough=enough)
    return found


def _points(value: float) -> str:
    """Return a difference of rates in percentage points."""
    return f"{100 * value:+.2f}".replace("-", "−")


@cache
def _css() -> str:
    folder = Path(environment().get_template("style.css").filename or "")
    return folder.read_text("utf-8") + (_TEMPLATES / "pages.css").read_text("utf-8")


@cache
def _javascript() -> str:
    return (_TEMPLATES / "review.js").read_text("utf-8")


@cache
def version() -> str:
    """Return a word that changes with the style sheet and the script, so that browsers may keep both for ever."""
    return sha256((_css() + _javascript()).encode()).hexdigest()[:12]


def style() -> Response:
    """Return the style sheet: that of reports, and what pages add."""
    return Response(_css(), media_type="text/css", headers={"Cache-Control": "public, max-age=31536000, immutable"})


def script() -> Response:
    """Return the keys of the review queue."""
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(_javascript(), media_type="text/javascript", headers=headers)


def to(where: str) -> Response:
    """Return the answer to a form that was done: look there."""
    return RedirectResponse(where, 303, {"Cache-Control": "no-store"})
