"""Meters that are asked, over their real protocols, on loopback."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from fakes.plugs import device, strip
from wattmark.errors import ConfigError, SourceRetry
from wattmark.workspace.meters.base import Sample
from wattmark.workspace.meters.calibration import meter_at
from wattmark.workspace.meters.http import address_of, digest
from wattmark.workspace.meters.snmp import get_request, oid_bytes, response_value

Reply = tuple[int, dict[str, str], Any]


def table(paths: dict[str, Any]) -> Any:
    def answer(path: str, _headers: dict[str, str]) -> Reply:
        return (200, {}, paths[path]) if path in paths else (404, {}, {"error": "not found"})

    return answer


SHELLY_1 = {
    "/shelly": {"type": "SHPLG-S", "auth": False},
    "/status": {"meters": [{"power": 45.5, "is_valid": True, "total": 120}]},
}
SHELLY_2 = {
    "/shelly": {"id": "shellyplusplugs-1", "gen": 2, "app": "PlusPlugS"},
    "/rpc/Switch.GetStatus?id=0": {"id": 0, "output": True, "apower": 45.5, "aenergy": {"total": 2.0}},
}
SHELLY_EM = {
    "/shelly": {"gen": 2, "app": "Pro3EM"},
    "/rpc/EM.GetStatus?id=0": {"id": 0, "total_act_power": 45.5},
}
TASMOTA = {
    "/cm?cmnd=Status%208": {
        "StatusSNS": {"Time": "2026-11-27T14:03:00", "ENERGY": {"Total": 0.002, "Power": 45.5}}
    }
}
POWER = {"PowerControl": [{"PowerConsumedWatts": 45.5}]}
REDFISH_OLD = {
    "/redfish/v1/Chassis": {"Members": [{"@odata.id": "/redfish/v1/Chassis/1"}]},
    "/redfish/v1/Chassis/1/Power": POWER,
}
REDFISH_NEW = {
    "/redfish/v1/Chassis/Self/EnvironmentMetrics": {"PowerWatts": {"Reading": 45.5}},
    "/redfish/v1/Chassis/Self/Power": {"PowerControl": [{"PowerConsumedWatts": 1}]},
}


@pytest.mark.parametrize(
    ("address", "paths", "energy"),
    [
        ("shelly://{}", SHELLY_1, 7200.0),
        ("shelly://{}", SHELLY_2, 7200.0),
        ("shelly://{}", SHELLY_EM, None),
        ("tasmota://{}", TASMOTA, 7200.0),
        ("redfish+http://{}", REDFISH_OLD, None),
        ("redfish+http://{}/Self", REDFISH_NEW, None),
    ],
)
def test_each_says_its_watts(address: str, paths: dict[str, Any], energy: float | None) -> None:
    with device(table(paths)) as (where, asked):
        meter = meter_at(address.format(where))
        assert meter.read() == Sample(45.5, energy)
        before = len(asked)
        assert meter.read().power_w == 45.5
        assert len(asked) - before == 1, "what it is, is asked once"
        assert where in meter.name


def test_home_assistant_is_asked_with_a_token_in_the_units_that_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    states = iter(
        [
            {"state": "0.0455", "attributes": {"unit_of_measurement": "kW"}},
            {"state": "unavailable", "attributes": {"unit_of_measurement": "kW"}},
            {"state": "1.5", "attributes": {"unit_of_measurement": "kWh"}},
            {"state": "21", "attributes": {"unit_of_measurement": "°C"}},
        ]
    )

    def answer(path: str, headers: dict[str, str]) -> Reply:
        if headers.get("authorization") != "Bearer s3cret":
            return 401, {}, {}
        return (200, {}, next(states)) if path == "/api/states/sensor.plug_power" else (404, {}, {})

    with device(answer) as (where, _):
        address = f"homeassistant://{where}/sensor.plug_power"
        monkeypatch.delenv("HASS_TOKEN", raising=False)
        with pytest.raises(ConfigError, match="access token") as error:
            meter_at(address)
        assert "WATTMARK_HOMEASSISTANT_TOKEN" in str(error.value.hint)
        monkeypatch.setenv("WATTMARK_HOMEASSISTANT_TOKEN", "s3cret")
        meter = meter_at(address)
        assert meter.read().power_w == pytest.approx(45.5)
        with pytest.raises(SourceRetry, match="'unavailable'"):
            meter.read()
        assert meter.read() == Sample(None, 1.5 * 3.6e6)
        with pytest.raises(ConfigError, match="°C"):
            meter.read()
        assert "s3cret" not in meter.name + repr(vars(meter))
        monkeypatch.setenv("WATTMARK_HOMEASSISTANT_TOKEN", "other")
        with pytest.raises(ConfigError, match="refuses the token"):
            meter_at(address).read()
        with pytest.raises(ConfigError, match="names no entity"):
            meter_at(f"homeassistant://{where}")


def test_passwords_basic_and_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_METER_PASSWORD", "p4ss")

    def basic(path: str, headers: dict[str, str]) -> Reply:
        if path == "/shelly":
            return 200, {}, SHELLY_1["/shelly"]
        word = base64.b64encode(b"admin:p4ss").decode()
        if headers.get("authorization") != f"Basic {word}":
            return 401, {"WWW-Authenticate": 'Basic realm="shelly"'}, {}
        return 200, {}, SHELLY_1["/status"]

    def later(path: str, headers: dict[str, str]) -> Reply:
        if path == "/shelly":
            return 200, {}, SHELLY_2["/shelly"]
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', headers.get("authorization", "")))

        def hashed(text: str) -> str:
            return hashlib.sha256(text.encode()).hexdigest()

        secret = hashed("admin:shellyplus:p4ss")
        asked = hashed(f"GET:{path}")
        right = hashed(f"{secret}:60d:{given.get('nc')}:{given.get('cnonce')}:auth:{asked}")
        if given.get("response") != right:
            challenge = 'Digest qop="auth", realm="shellyplus", nonce="60d", algorithm=SHA-256'
            return 401, {"WWW-Authenticate": challenge}, {}
        return 200, {}, SHELLY_2[path]

    for answer in (basic, later):
        with device(answer) as (where, _):
            assert meter_at(f"shelly://{where}").read().power_w == 45.5
            monkeypatch.setenv("WATTMARK_METER_PASSWORD", "wrong")
            with pytest.raises(ConfigError, match="asks for a user and a password") as error:
                meter_at(f"shelly://{where}").read()
            assert "WATTMARK_METER_PASSWORD" in str(error.value.hint)
            monkeypatch.setenv("WATTMARK_METER_PASSWORD", "p4ss")


def test_digest_is_that_of_the_standard() -> None:
    challenge = 'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    words = digest(challenge, "Mufasa", "Circle Of Life", "/dir/index.html")
    # RFC 2069 as corrected (errata 749): MD5 without qop
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in words
    with pytest.raises(ConfigError, match="ROT13"):
        digest("Digest algorithm=ROT13", "a", "b", "/")


def test_a_device_that_sends_us_elsewhere_gets_no_token_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTMARK_HOMEASSISTANT_TOKEN", "s3cret")
    with (
        device(table({})) as (elsewhere, asked),
        device(lambda *_: (302, {"Location": f"http://{elsewhere}/x"}, {})) as (where, _),
    ):
        with pytest.raises(ConfigError, match="sends us elsewhere"):
            meter_at(f"homeassistant://{where}/sensor.p").read()
        assert asked == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("gopher://x", "no meter speaks gopher://"),
        ("shelly://", "names no host"),
        ("shelly://user:pw@host", "a password does not belong into an address"),
        ("shelly://host/first", "no channel 'first'"),
        ("shelly+ftp://host", "no transport 'ftp'"),
        ("snmp://host", "the number of an object"),
        ("snmp://host/1.3.6?scale=x", "could not convert"),
    ],
)
def test_addresses_that_cannot_be(address: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        meter_at(address)
    assert "pw" not in str(error.value).replace("password", "")


def test_something_else_than_a_meter() -> None:
    with device(lambda *_: (200, {}, b"<html>")) as (where, _), pytest.raises(ConfigError, match="no JSON"):
        meter_at(f"tasmota://{where}").read()
    with (
        device(table({"/shelly": {"gen": 2}})) as (where, _),
        pytest.raises(ConfigError, match="no power on channel"),
    ):
        meter_at(f"shelly://{where}").read()
    with device(lambda *_: (503, {}, {})) as (where, _), pytest.raises(SourceRetry, match="status 503"):
        meter_at(f"tasmota://{where}").read()
    with pytest.raises(SourceRetry, match="does not answer"):
        meter_at("tasmota://127.0.0.1:9").read()
    assert address_of("shelly://x").hostname == "x"


TOOL = """#!/bin/sh
if [ "$MODE" = none ]; then echo "Could not open device at /dev/ipmi0" >&2; exit 1; fi
echo "$@" > "$SAID"; echo "$IPMI_PASSWORD" >> "$SAID"
cat <<END

    Instantaneous power reading:                   220 Watts
    Minimum during sampling period:                 18 Watts
    Power reading state is:                   activated
END
"""


def test_ipmi_through_its_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tool = tmp_path / "ipmitool"
    tool.write_text(TOOL)
    tool.chmod(0o755)
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    monkeypatch.setenv("WATTMARK_METER_PASSWORD", "p4ss")
    assert meter_at("ipmi://").read() == Sample(220.0)
    assert (tmp_path / "said").read_text().split() == ["dcmi", "power", "reading"]
    assert meter_at("ipmi://bmc7").read() == Sample(220.0)
    words, password = (tmp_path / "said").read_text().splitlines()
    assert "-H bmc7 -U admin -E" in words
    assert "p4ss" not in words, "a password is for no process list"
    assert password == "p4ss"
    monkeypatch.setenv("MODE", "none")
    with pytest.raises(ConfigError, match="Could not open device"):
        meter_at("ipmi://").read()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConfigError, match="ipmitool is not installed"):
        meter_at("ipmi://")


OID = (1, 3, 6, 1, 4, 1, 318, 1, 1, 12, 1, 16, 0)


def response(request: bytes, tag: int, value: bytes, *, status: int = 0) -> bytes:
    """An agent's answer made by hand from the request: X.690 with short lengths."""
    assert request[0] == 0x30
    community = b"public"
    number = request[request.index(b"\xa0") + 2 :][:3]
    oid = oid_bytes(OID)
    binding = bytes([0x06, len(oid)]) + oid + bytes([tag, len(value)]) + value
    bindings = bytes([0x30, len(binding)]) + binding
    body = number + bytes([0x02, 1, status, 0x02, 1, 0, 0x30, len(bindings)]) + bindings
    inner = b"\x02\x01\x01" + bytes([0x04, len(community)]) + community + bytes([0xA2, len(body)]) + body
    return bytes([0x30, len(inner)]) + inner


def test_snmp_asks_as_the_standard_says() -> None:
    # RFC 3416 in X.690, written out by hand: version 2c, community, get, request 1, no error, one object and null
    expected = bytes.fromhex(
        "302b 020101 0406 7075626c6963 a01e 020101 020100 020100 3013 3011 060d 2b06010401823e01010c011000 0500".replace(
            " ", ""
        )
    )
    assert get_request("public", 1, OID) == expected


def test_snmp_over_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATTMARK_SNMP_COMMUNITY", raising=False)
    dotted = ".".join(map(str, OID))
    with strip(lambda message: response(message, 0x42, (455).to_bytes(2, "big"))) as port:
        meter = meter_at(f"snmp://127.0.0.1:{port}/{dotted}?scale=0.1")
        assert meter.read().power_w == pytest.approx(45.5)
        assert meter.read().power_w == pytest.approx(45.5)
    with strip(lambda message: response(message, 0x04, b"45.5")) as port:
        assert meter_at(f"snmp://127.0.0.1:{port}/{dotted}").read().power_w == pytest.approx(45.5)
    with (
        strip(lambda message: response(message, 0x81, b"")) as port,
        pytest.raises(ConfigError, match="no such object"),
    ):
        meter_at(f"snmp://127.0.0.1:{port}/{dotted}").read()
    with strip(lambda _: b"\x30\x02") as port, pytest.raises(SourceRetry, match="broken"):
        meter_at(f"snmp://127.0.0.1:{port}/{dotted}").read()


def test_snmp_takes_no_answer_to_another_question() -> None:
    with pytest.raises(SourceRetry, match="something else"):
        response_value(response(get_request("public", 7, OID), 0x02, b"\x05"), 8, "snmp://x")
    assert response_value(response(get_request("public", 7, OID), 0x02, b"\xff"), 7, "snmp://x") == -1
