"""One GET of a publisher's API: bounded in time and bytes, tried again with jitter, no redirects, nothing secret in any
message.

Statuses 429 and 5xx and broken connections are tried again, after ``Retry-After`` where it fits the time left (RFC 9110,
10.2.3), else after a pause that doubles and is spread by chance (so that a cluster's nodes do not come back all at once).
"""

from __future__ import annotations

import http.client
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import IO

from wattmark.errors import ConfigError, ProviderError

MOST_BYTES = 64 * 2**20
AGAIN = (429, 500, 502, 503, 504)
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. headers: their names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Who sends us elsewhere gets no key there."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """None: what is left is an error with the status."""


@dataclass(frozen=True, slots=True)
class Web:
    """How patiently somebody is asked. timeout_s: for one try; deadline_s: for all of them, pauses included; tries: at
    most."""

    timeout_s: float = 10.0
    deadline_s: float = 30.0
    tries: int = 4
    pause_s: float = 0.5
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def get(
        self,
        who: str,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        secret: bool = False,
    ) -> Reply:
        """The last answer, whatever its status. secret: params or headers have a key, which goes over TLS only.

        Raises ProviderError where there is none in time; ConfigError for an address that cannot be asked.
        """
        checked_address(url, secret=secret)
        asked = f"{url}?{urllib.parse.urlencode(params)}" if params else url
        until = time.monotonic() + self.deadline_s
        trouble = ""
        for number in range(self.tries):
            left = until - time.monotonic()
            if left <= 0:
                break
            outcome = _bounded(asked, dict(headers or {}), min(self.timeout_s, left))
            if isinstance(outcome, Reply):
                if outcome.status not in AGAIN:
                    return outcome
                trouble = f"status {outcome.status}"
                pause = _retry_after(outcome.headers.get("retry-after"))
            else:
                trouble, pause = outcome, None
            if pause is None:
                pause = self.pause_s * 2**number * (0.5 + self.chance())
            if number + 1 == self.tries or pause > until - time.monotonic():
                break
            self.sleep(pause)
        raise ProviderError(f"{who} does not answer: {trouble}", hint="try again later; what was kept stands")


def checked_address(url: str, *, secret: bool = False) -> None:
    """Raises ConfigError for what is no address of a web API, or would show a key to everybody on the way."""
    try:
        parts = urllib.parse.urlsplit(url)
        host, user = parts.hostname, parts.username
        _ = parts.port
    except ValueError as error:
        raise ConfigError(f"a provider's address cannot be read: {error}") from error
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError("a provider's address begins with http:// or https:// and names a host")
    if any(not " " < letter < "\x7f" for letter in url):
        raise ConfigError("a provider's address has blanks or other letters that no address has")
    if user is not None:
        raise ConfigError("a password does not belong into a provider's address", hint="leave it out")
    if secret and parts.scheme != "https" and host not in LOOPBACK:
        raise ConfigError(f"the key would go to {host} unencrypted", hint="use https://")


def _bounded(url: str, headers: dict[str, str], timeout_s: float) -> Reply | str:
    """One try within the time, whatever hangs: the look-up of the name, the connection, or an answer that trickles in."""
    outcomes: list[Reply | str] = []
    thread = threading.Thread(target=lambda: outcomes.append(_once(url, headers, timeout_s)), daemon=True)
    thread.start()
    thread.join(timeout_s)
    return outcomes[0] if outcomes else f"nothing within {timeout_s:.3g} s"


def _once(url: str, headers: dict[str, str], timeout_s: float) -> Reply | str:
    try:
        request = urllib.request.Request(url, headers={"Accept": "application/json", **headers})  # noqa: S310 its scheme is checked
        opener = urllib.request.build_opener(_NoRedirect())
        with opener.open(request, timeout=timeout_s) as answer:
            return _reply(answer.status, answer.headers, answer.read(MOST_BYTES + 1))
    except urllib.error.HTTPError as error:
        with error:
            try:
                return _reply(error.code, error.headers, error.read(MOST_BYTES + 1))
            except (OSError, http.client.HTTPException, ValueError):
                return _reply(error.code, error.headers, b"")
    except urllib.error.URLError as error:
        return "no connection" if isinstance(error.reason, OSError) else str(error.reason)[:100]
    except TimeoutError:
        return f"nothing within {timeout_s:.3g} s"
    except (OSError, http.client.HTTPException, ValueError) as error:  # a ValueError: headers of nonsense
        return f"its answer broke off ({type(error).__name__})"


def _reply(status: int, headers: Message, body: bytes) -> Reply | str:
    if len(body) > MOST_BYTES:
        return f"more than {MOST_BYTES >> 20} MiB"
    return Reply(status, {name.lower(): str(value) for name, value in headers.items()}, body)


def _retry_after(value: str | None) -> float | None:
    """Seconds, from a number of them or a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
