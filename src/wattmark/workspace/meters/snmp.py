"""One number by SNMP: a get of version 2c over UDP (RFC 3416) in the basic encoding of ASN.1, for power strips in racks.

No library is taken for it: a get of one integer is one message each way, and community strings are all that strips are
asked for.
"""

from __future__ import annotations

import os
import socket
from urllib.parse import SplitResult, parse_qs

from wattmark.errors import ConfigError, SourceRetry
from wattmark.workspace.meters.base import Sample
from wattmark.workspace.meters.http import TIMEOUT_S
from wattmark.workspace.meters.plugs import PLUG_SHARE

COMMUNITY = "WATTMARK_SNMP_COMMUNITY"
_INTEGERS = (0x02, 0x41, 0x42, 0x43, 0x46)
"""INTEGER, Counter32, Gauge32, TimeTicks, Counter64."""
_ABSENT = (0x80, 0x81, 0x82)
_SEQUENCE, _GET, _RESPONSE, _OCTETS, _NULL, _OID = 0x30, 0xA0, 0xA2, 0x04, 0x05, 0x06


class Snmp:
    """``snmp://HOST/OID[?scale=0.1]``: the watts of an outlet or a strip, times ``scale``. The community is ``public``,
    or what the environment says."""

    share = PLUG_SHARE

    def __init__(self, address: SplitResult) -> None:
        self.name = f"snmp://{address.netloc}"
        oid = address.path.strip("/").lstrip(".")
        parts = oid.split(".")
        if (
            not address.hostname
            or len(parts) < 3
            or not all(part.isdigit() and int(part) < 2**32 for part in parts)
        ):
            raise ConfigError(
                f"{self.name}: it takes a host and the number of an object",
                hint="snmp://HOST/1.3.6.1.4.1.318.1.1.12.1.16.0",
            )
        self._oid = tuple(int(part) for part in parts)
        try:
            self._scale = float(parse_qs(address.query).get("scale", ["1"])[0])
            self._where = (address.hostname, address.port or 161)
        except ValueError as error:
            raise ConfigError(
                f"{self.name}: {error}", hint="scale=0.1 where the strip counts in tenths of watts"
            ) from error
        self._request = 0

    def read(self) -> Sample:
        """Ask it, twice if need be."""
        self._request = self._request % 0x7FFFFFFF + 1
        message = get_request(os.environ.get(COMMUNITY, "public"), self._request, self._oid)
        try:
            family = socket.getaddrinfo(*self._where, type=socket.SOCK_DGRAM)[0]
        except OSError as error:
            raise SourceRetry(f"{self.name} is not found: {error}") from error
        with socket.socket(family[0], socket.SOCK_DGRAM) as sock:
            sock.settimeout(TIMEOUT_S / 2)
            sock.connect(family[4])
            for _ in range(2):
                try:
                    sock.send(message)
                    answer = sock.recv(4096)
                except OSError:
                    continue
                value = response_value(answer, self._request, self.name)
                return Sample(value * self._scale)
        raise SourceRetry(f"{self.name} does not answer: is its community that in {COMMUNITY}?")


def get_request(community: str, request: int, oid: tuple[int, ...]) -> bytes:
    """The message that asks for one object."""
    binding = _wrapped(_SEQUENCE, _wrapped(_OID, oid_bytes(oid)) + _wrapped(_NULL, b""))
    body = _integer(request) + _integer(0) + _integer(0) + _wrapped(_SEQUENCE, binding)
    return _wrapped(_SEQUENCE, _integer(1) + _wrapped(_OCTETS, community.encode()) + _wrapped(_GET, body))


def response_value(message: bytes, request: int, name: str) -> float:
    """The number in an answer. Raises ConfigError for an object that is not there, SourceRetry for what is no answer to
    us."""
    try:
        _, whole, _ = _unwrapped(message)
        _, _, rest = _unwrapped(whole)
        _, _, rest = _unwrapped(rest)
        kind, body, _ = _unwrapped(rest)
        _, theirs, body = _unwrapped(body)
        _, status, body = _unwrapped(body)
        _, _, body = _unwrapped(body)
        _, bindings, _ = _unwrapped(body)
        _, binding, _ = _unwrapped(bindings)
        _, _, rest = _unwrapped(binding)
        tag, value, _ = _unwrapped(rest)
    except IndexError as error:
        raise SourceRetry(f"{name} answers with a broken message") from error
    if kind != _RESPONSE or int.from_bytes(theirs, "big", signed=True) != request:
        raise SourceRetry(f"{name} answers something else")
    if int.from_bytes(status, "big") != 0 or tag in _ABSENT:
        raise ConfigError(f"{name} has no such object", hint="its MIB names the object that holds watts")
    if tag == _OCTETS:
        try:
            return float(value.decode("ascii"))
        except ValueError as error:
            raise ConfigError(f"{name}: the object holds {value[:40]!r}, no number") from error
    if tag not in _INTEGERS:
        raise ConfigError(f"{name}: the object holds no number")
    return float(int.from_bytes(value, "big", signed=tag == 0x02))


def oid_bytes(oid: tuple[int, ...]) -> bytes:
    """An object's number in base 128 (X.690, 8.19)."""
    out = bytearray()
    for part in (oid[0] * 40 + oid[1], *oid[2:]):
        digits = [part & 0x7F]
        while part := part >> 7:
            digits.append(part & 0x7F | 0x80)
        out += bytes(reversed(digits))
    return bytes(out)


def _integer(value: int) -> bytes:
    return _wrapped(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def _wrapped(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _unwrapped(data: bytes) -> tuple[int, bytes, bytes]:
    """Tag, content, and what follows. Raises IndexError for data that end too early."""
    tag, size, begin = data[0], data[1], 2
    if size & 0x80:
        begin += size & 0x7F
        size = int.from_bytes(data[2:begin], "big")
    if len(data) < begin + size:
        raise IndexError("the data end too early")
    return tag, data[begin : begin + size], data[begin + size :]
