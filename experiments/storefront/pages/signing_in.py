"""The pages by which people sign in and out, with a key."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from experiments.storefront.frame import to, version
from experiments.storefront.pages.desk import Desk, Sent
from experiments.storefront.sessions import LOGIN_COOKIE, base, login_token


class SigningIn:
    """Begins and ends sessions."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def login_page(self, request: Request, next: str = "") -> Response:
        """Show the form that takes a key."""
        return self._login_page(request, next)

    def login(self, request: Request, form: Sent) -> Response:
        """Begin a session with a key."""
        if not form.is_from(request.cookies.get(LOGIN_COOKIE, "")):
            return self._login_page(request, form.get("next"), "This form was out of date. Try again.", 403)
        who = self.desk.keys.find(form.get("key"))
        if who is None:
            return self._login_page(request, form.get("next"), "There is no such key, or it was revoked.", 401)
        response = to(_inside(request, form.get("next")) or base(request))
        self.desk.sessions.sign_in(response, request, who)
        return response

    def logout(self, request: Request, form: Sent) -> Response:
        """End a session."""
        self.desk.sender(request, form)
        response = to(f"{base(request)}/login")
        self.desk.sessions.sign_out(response, request)
        return response

    def _login_page(self, request: Request, next_: str, failed: str = "", status: int = 200) -> Response:
        response = HTMLResponse(status_code=status)
        token = login_token(response, request)
        page = self.desk.templates.get_template("login.html.j2").render(
            base=base(request), version=version(), next=_inside(request, next_), token=token, failed=failed
        )
        response.body = page.encode()
        response.headers["content-length"] = str(len(response.body))
        return response


def _inside(request: Request, path: str) -> str:
    """Return a path if it is one of ours; else "", so that a link to sign in leads nowhere else."""
    ours = path == base(request) or path.startswith((f"{base(request)}/", f"{base(request)}?"))
    return path if ours and "\\" not in path and path.isprintable() else ""
