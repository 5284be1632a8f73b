"""Who may ask what: names of the host, origins, the token, the header of changing requests, and what pages may load.

The page is served to a browser, so it must not be possible for another page in the same browser (a foreign Origin, or a
name that is made to point to this machine: DNS rebinding) nor for another user of the machine (the token) to use it.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool

from wattmark.dashboard.context import ACCESS, Options
from wattmark.errors import StoreError
from wattmark.store.team.tokens import Token

_ASK_AGAIN_S = 5.0
"""A token that was removed gets in no longer than this."""
MAX_BODY_BYTES = 16 * 2**20
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
ASKING = frozenset({"/api/v1/whatif", "/api/v1/runs/totals"})
"""Questions too long for an address: a POST that changes nothing, so that a read-only dashboard answers it too."""
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class _TooLarge(Exception):
    """The body grew over the limit."""


class Guard:
    """Lets a request through to the app, or answers it: 400 foreign Host, 401 no token, 403 not allowed, 413, 415."""

    def __init__(
        self, app: App, options: Options, access_of: Callable[[str], Token | None] = lambda _: None
    ) -> None:
        """access_of: what a token of the store allows; asked where ``options.team`` says so."""
        self._app = app
        self._options = options
        self._access_of = access_of
        self._lately: dict[str, tuple[float, Token | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on to the app."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        scope.pop(ACCESS, None)
        refused = await self._not_let_in(scope, headers) or self._refusal(scope, headers)
        if refused is not None:
            await _answer(scope, send, *refused)
            return
        given = _token_of_query(scope)
        if given is not None and self._options.token is not None and scope["path"] == "/":
            await _welcome(scope, send, given)
            return
        await self._pass_on(scope, receive, send)

    async def _not_let_in(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str, str] | None:
        """Look up a token that is not the dashboard's own among those of the store, and note what it allows."""
        given = self._given_token(scope, headers) if self._options.team else None
        if given is None or (self._options.token is not None and _is_same(given, self._options.token)):
            return None
        now = time.monotonic()
        when, access = self._lately.get(given, (0.0, None))
        if access is None or now - when > _ASK_AGAIN_S:
            try:
                access = await run_in_threadpool(self._access_of, given)
            except StoreError:
                return 503, "the store does not answer, so no token can be looked up", "try again in a moment"
            self._lately = {
                token: pair for token, pair in self._lately.items() if now - pair[0] < _ASK_AGAIN_S
            }
            if access is not None:
                self._lately[given] = (now, access)
        if access is not None:
            scope[ACCESS] = access
        return None

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str, str] | None:
        """Status, message and next step for a request that must not get through."""
        access: Token | None = scope.get(ACCESS)
        host = headers.get("host", "")
        if not self._is_own_name(host):
            return 400, "this dashboard is not known by that name", "ask for it by the printed address"
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "another page's requests are not answered", "open the dashboard itself"
        if self._options.token is not None and access is None:
            given = self._given_token(scope, headers)
            if given is None:
                return (
                    401,
                    "this dashboard needs its token",
                    "open the whole address that wattmark ui printed",
                )
            if not _is_same(given, self._options.token):
                return (
                    403,
                    "that is not this dashboard's token",
                    "open the whole address that wattmark ui printed",
                )
        if scope["method"] in CHANGING:
            read_only = self._options.read_only or (
                access is not None and not _may_change(access, scope["path"])
            )
            return self._refuse_change(headers, read_only and scope["path"] not in ASKING)
        return None

    def _refuse_change(self, headers: dict[str, str], forbidden: bool) -> tuple[int, str, str] | None:
        if "x-wattmark" not in headers:
            return 403, "a request that changes something needs the header X-Wattmark", "set X-Wattmark: 1"
        if forbidden and not self._options.read_only:
            return (
                403,
                "this token does not allow that",
                "ask for one with --rights write, or for all projects",
            )
        if forbidden:
            return 403, "this dashboard is read-only", "start it without --read-only"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return 413, f"a body has at most {MAX_BODY_BYTES} bytes", "send less at once"
        has_body = length != "0" or "transfer-encoding" in headers
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if has_body and kind != "application/json":
            return 415, "a body must be JSON", "set Content-Type: application/json"
        return None

    def _is_own_name(self, host: str) -> bool:
        """Loopback's names, names that were allowed, and (where other machines may ask) addresses without a name.

        An address in numbers cannot be pointed elsewhere by a name server, so it is no way in for DNS rebinding. A Host is a
        name and a port (RFC 9110, 7.2): what has more than that (``user@name``, a path) is nobody's.
        """
        if not host or any(sign in "@/\\?#%," or sign <= " " for sign in host):
            return False
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name == "localhost" or name in self._options.hosts:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or not self._options.loopback

    def _given_token(self, scope: Scope, headers: dict[str, str]) -> str | None:
        """From the address that was printed, from a script's header, or from the cookie that the first visit set."""
        if scope["path"] == "/" and (asked := _token_of_query(scope)) is not None:
            return asked
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and bearer:
            return bearer.strip()
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return None
        cookie = cookies.get(_cookie_name(scope))
        return cookie.value if cookie is not None else None

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0
        started = False

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY_BYTES:
                raise _TooLarge
            return message

        async def dressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                names = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in _HEADERS if pair[0] not in names),
                    *(
                        [(b"cache-control", b"no-store")]
                        if _is_data(scope) and b"cache-control" not in names
                        else []
                    ),
                ]
            await send(message)

        try:
            await self._app(scope, counted, dressed)
        except _TooLarge:
            if not started:
                await _answer(
                    scope, send, 413, f"a body has at most {MAX_BODY_BYTES} bytes", "send less at once"
                )


def _may_change(access: Token, path: str) -> bool:
    """Who may change one project changes its runs, and nothing of the machine that the dashboard runs on."""
    return access.rights == "write" and (access.project is None or path.startswith("/api/v1/runs/"))


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _is_data(scope: Scope) -> bool:
    return scope["path"].startswith("/api/")


def _token_of_query(scope: Scope) -> str | None:
    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [None])[0]


def _cookie_name(scope: Scope) -> str:
    """Cookies do not tell ports apart, so two dashboards of one machine need two names."""
    server = scope.get("server") or ("", 0)
    return f"wattmark-{server[1] or 0}"


async def _welcome(scope: Scope, send: Send, token: str) -> None:
    """Keep the token in a cookie and go on without it in the address.

    By a page of our own, not by a redirect: a strict cookie is not sent along a redirect that began at another site.
    """
    cookie = f"{_cookie_name(scope)}={token}; Path=/; HttpOnly; SameSite=Strict"
    await _send(send, 200, "text/html; charset=utf-8", _REFRESH, [(b"set-cookie", cookie.encode("latin-1"))])


async def _answer(scope: Scope, send: Send, status: int, message: str, hint: str) -> None:
    if _is_data(scope):
        body = json.dumps({"message": message, "hint": hint}).encode()
        await _send(send, status, "application/json", body)
    else:
        page = f"<!doctype html><meta charset=utf-8>{_ICON}<title>Wattmark</title><p>{message}: {hint}.</p>"
        await _send(send, status, "text/html; charset=utf-8", page.encode())


_ICON = '<link rel=icon href="data:,">'  # else a browser asks for one
_REFRESH = (
    f'<!doctype html><meta charset=utf-8>{_ICON}<meta http-equiv=refresh content="0;url=./"><title>Wattmark</title>'
).encode()


async def _send(
    send: Send, status: int, kind: str, body: bytes, more: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode()), *_HEADERS]
    headers += [(b"cache-control", b"no-store"), *(more or [])]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="wattmark"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
