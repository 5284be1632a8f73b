"""Small JSON objects over HTTP from devices at home and in racks: basic and digest passwords, no redirects, bounded
answers."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import SplitResult, urlsplit

from wattmark.errors import ConfigError, SourceRetry

TIMEOUT_S = 5.0
_MOST_BYTES = 2**20
USER, PASSWORD = "WATTMARK_METER_USER", "WATTMARK_METER_PASSWORD"
"""Where the user and the password of a meter are looked for; nothing of them is kept or shown."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A device that sends us elsewhere gets no password there."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: Any) -> None:
        """None: what is left is an error with the status."""


@dataclass(frozen=True, slots=True)
class Device:
    """Where a device answers. name: its address as the user gave it, for messages. token: sent as a bearer's."""

    name: str
    base: str
    token: str | None = field(default=None, repr=False)
    verify: bool = True

    def get(self, path: str) -> Mapping[str, Any]:
        """The JSON object at a path. Raises SourceRetry for a device that does not answer (now), ConfigError for one that
        refuses or has no such path."""
        headers = {"Accept": "application/json"}
        user, password = os.environ.get(USER, "admin"), os.environ.get(PASSWORD)
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        elif password is not None:
            word = base64.b64encode(f"{user}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {word}"
        try:
            return self._object(path, self._open(path, headers))
        except urllib.error.HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate", "")
            error.close()
            if error.code == 401 and password is not None and challenge.lower().startswith("digest"):
                headers["Authorization"] = digest(challenge, user, password, path)
                try:
                    return self._object(path, self._open(path, headers))
                except urllib.error.HTTPError as again:
                    again.close()
                    raise self._refused(again.code, path) from again
                except (OSError, http.client.HTTPException) as again:
                    raise SourceRetry(f"{self.name} does not answer: {again}") from again
            raise self._refused(error.code, path) from error
        except urllib.error.URLError as error:
            raise SourceRetry(f"{self.name} does not answer: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise SourceRetry(f"{self.name} does not answer: {error}") from error

    def _open(self, path: str, headers: Mapping[str, str]) -> bytes:
        context = ssl.create_default_context()
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), _NoRedirect(), urllib.request.HTTPSHandler(context=context)
        )
        request = urllib.request.Request(self.base + path, headers=dict(headers))  # noqa: S310  # http(s): device_at
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return answer.read(_MOST_BYTES)

    def _object(self, path: str, body: bytes) -> Mapping[str, Any]:
        try:
            data: Any = json.loads(body)
        except ValueError as error:
            raise ConfigError(
                f"{self.name}{path} answers with no JSON: is it another kind of device?"
            ) from error
        if not isinstance(data, dict):
            raise ConfigError(f"{self.name}{path} answers with no object: is it another kind of device?")
        return cast("dict[str, Any]", data)

    def _refused(self, status: int, path: str) -> ConfigError | SourceRetry:
        if status in (401, 403):
            hint = f"put them into {USER} and {PASSWORD}"
            if self.token is not None:
                return ConfigError(
                    f"{self.name} refuses the token", hint="make a new long-lived access token"
                )
            return ConfigError(f"{self.name} asks for a user and a password", hint=hint)
        if status in (404, 405, 501):
            return NoSuchPath(
                f"{self.name} has no {path}", hint="is it this kind of device, and the right name?"
            )
        if 300 <= status < 400:
            return ConfigError(
                f"{self.name} sends us elsewhere (status {status})", hint="give the address that it means"
            )
        return SourceRetry(f"{self.name} answers with status {status}")


class NoSuchPath(ConfigError):
    """The device does not know what was asked for."""


def digest(challenge: str, user: str, password: str, path: str) -> str:
    """The answer to a digest challenge (RFC 7616, 3.4; SHA-256 as Shelly asks for, or MD5)."""
    fields = {
        key.lower(): quoted or bare
        for key, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', challenge)
    }
    name = fields.get("algorithm", "MD5").upper()
    if name not in ("MD5", "SHA-256"):
        raise ConfigError(f"the device asks for a password by {name}, which is not spoken here")

    def hashed(text: str) -> str:
        made = (
            hashlib.sha256(text.encode())
            if name == "SHA-256"
            else hashlib.md5(text.encode(), usedforsecurity=False)
        )
        return made.hexdigest()

    nonce, realm, ours, count = (
        fields.get("nonce", ""),
        fields.get("realm", ""),
        os.urandom(8).hex(),
        "00000001",
    )
    secret, asked = hashed(f"{user}:{realm}:{password}"), hashed(f"GET:{path}")
    response = (
        hashed(f"{secret}:{nonce}:{count}:{ours}:auth:{asked}")
        if "qop" in fields
        else hashed(f"{secret}:{nonce}:{asked}")
    )
    words = f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{path}", response="{response}"'
    words += f", algorithm={name}"
    if "qop" in fields:
        words += f', qop=auth, nc={count}, cnonce="{ours}"'
    return words + (f', opaque="{fields["opaque"]}"' if "opaque" in fields else "")


def device_at(
    address: SplitResult, *, secure: bool = False, port: int | None = None, token: str | None = None
) -> Device:
    """The device that an address such as ``shelly://192.168.1.20`` means.

    ``+https`` or ``+http`` after the scheme chooses the transport, ``?insecure=1`` takes any certificate. Raises
    ConfigError.
    """
    name = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
    try:
        host, own_port = address.hostname, address.port
    except ValueError as error:
        raise ConfigError(f"{name} is no address: {error}") from error
    if not host:
        raise ConfigError(f"{name} names no host", hint=f"{address.scheme}://192.168.1.20")
    if address.username or address.password:
        raise ConfigError(
            f"{name}: a password does not belong into an address", hint=f"put it into {USER} and {PASSWORD}"
        )
    transport = address.scheme.partition("+")[2] or ("https" if secure else "http")
    if transport not in ("http", "https"):
        raise ConfigError(f"{name}: no transport {transport!r}", hint="http or https")
    host = f"[{host}]" if ":" in host else host
    chosen = own_port or port
    base = f"{transport}://{host}" + (f":{chosen}" if chosen else "")
    return Device(name, base, token, "insecure=1" not in address.query)


def address_of(text: str) -> SplitResult:
    """An address in its parts. Raises ConfigError."""
    try:
        return urlsplit(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is no address: {error}") from error


def number_at(data: Mapping[str, Any], *keys: str | int) -> float | None:
    """The number at a place in nested data; None where there is none."""
    value: Any = data
    for key in keys:
        if isinstance(key, int) and isinstance(value, list):
            items = cast("list[Any]", value)
            value = items[key] if -len(items) <= key < len(items) else None
        elif isinstance(value, Mapping):
            value = cast("Mapping[Any, Any]", value).get(key)
        else:
            return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value
        else None
    )
