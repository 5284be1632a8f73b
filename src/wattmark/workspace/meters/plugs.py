"""Plugs and counters at home: Shelly of both generations, Tasmota, and what Home Assistant reads."""

from __future__ import annotations

import os
from urllib.parse import SplitResult, quote, urlencode

from wattmark.errors import ConfigError, SourceRetry
from wattmark.units import J_PER_KWH, J_PER_WH
from wattmark.workspace.meters.base import Sample
from wattmark.workspace.meters.http import PASSWORD, USER, Device, NoSuchPath, device_at, number_at
from wattmark.workspace.meters.table import UNITS

PLUG_SHARE = 0.02
"""Class 2 of IEC 62053-21; plugs mostly claim 1 or 2 %."""
TOKENS = ("WATTMARK_HOMEASSISTANT_TOKEN", "HASS_TOKEN")
_WATT_MINUTE_J = 60.0


class Shelly:
    """``shelly://HOST[/CHANNEL]``. Generation 1: ``/status`` (meters in W and watt-minutes, emeters in W and Wh). Later
    ones: RPC over HTTP, ``Switch.GetStatus``, ``PM1.GetStatus`` or ``EM.GetStatus`` (shelly-api-docs.shelly.cloud)."""

    share = PLUG_SHARE

    def __init__(self, address: SplitResult) -> None:
        self._device = device_at(address)
        channel = address.path.strip("/") or "0"
        if not channel.isdigit():
            raise ConfigError(
                f"{self._device.name}: no channel {channel!r}", hint="a number: shelly://HOST/0"
            )
        self._channel = int(channel)
        self.name = self._device.name + (f"/{channel}" if self._channel else "")
        self._call: str | None = None
        self._old: bool | None = None

    def read(self) -> Sample:
        """Ask it; what generation it is, is found at the first time."""
        if self._old is None:
            told = self._device.get("/shelly")
            if "gen" not in told and "type" not in told:
                raise ConfigError(f"{self.name} is no Shelly: /shelly says neither gen nor type")
            self._old = (number_at(told, "gen") or 1) < 2
        return self._first_generation() if self._old else self._later()

    def _first_generation(self) -> Sample:
        status = self._device.get("/status")
        for key, joules in (("emeters", J_PER_WH), ("meters", _WATT_MINUTE_J)):
            power = number_at(status, key, self._channel, "power")
            if power is not None:
                total = number_at(status, key, self._channel, "total")
                return Sample(power, None if total is None else total * joules)
        raise ConfigError(
            f"{self.name} measures no power on channel {self._channel}", hint="shelly://HOST/CHANNEL"
        )

    def _later(self) -> Sample:
        calls = ("Switch", "PM1", "EM", "EM1") if self._call is None else (self._call,)
        for call in calls:
            try:
                status = self._device.get(f"/rpc/{call}.GetStatus?id={self._channel}")
            except NoSuchPath:
                continue
            power = next(
                (
                    value
                    for key in ("apower", "total_act_power", "act_power")
                    if (value := number_at(status, key)) is not None
                ),
                None,
            )
            if power is not None:
                self._call = call
                total = number_at(status, "aenergy", "total")
                return Sample(power, None if total is None else total * J_PER_WH)
        raise ConfigError(
            f"{self.name} measures no power on channel {self._channel}", hint="shelly://HOST/CHANNEL"
        )


class Tasmota:
    """``tasmota://HOST``: ``cmnd=Status 8`` (tasmota.github.io/docs/Commands). Its password goes where its web server
    wants it."""

    share = PLUG_SHARE

    def __init__(self, address: SplitResult) -> None:
        self._device = device_at(address)
        self.name = self._device.name

    def read(self) -> Sample:
        """Ask it."""
        words = {"cmnd": "Status 8"}
        if os.environ.get(PASSWORD) is not None:
            words = {"user": os.environ.get(USER, "admin"), "password": os.environ[PASSWORD], **words}
        status = self._device.get(f"/cm?{urlencode(words, quote_via=quote)}")
        if "WARNING" in status:
            raise ConfigError(
                f"{self.name} asks for a user and a password", hint=f"put them into {USER} and {PASSWORD}"
            )
        energy = ("StatusSNS", "ENERGY")
        power, total = number_at(status, *energy, "Power"), number_at(status, *energy, "Total")
        if power is None:
            power = number_at(status, *energy, "Power", 0)
        if power is None:
            raise ConfigError(f"{self.name} has no sensor of energy", hint="its Status 8 must have ENERGY")
        return Sample(power, None if total is None else total * J_PER_KWH)


class HomeAssistant:
    """``homeassistant://HOST:8123/sensor.plug_power`` over its REST API (developers.home-assistant.io/docs/api/rest), with a
    long-lived token from the environment."""

    share = PLUG_SHARE

    def __init__(self, address: SplitResult) -> None:
        token = next((os.environ[name] for name in TOKENS if os.environ.get(name)), None)
        self._device: Device = device_at(address, port=8123, token=token)
        self._entity = address.path.strip("/")
        if "." not in self._entity:
            raise ConfigError(
                f"{self._device.name} names no entity", hint="homeassistant://HOST:8123/sensor.my_plug_power"
            )
        if token is None:
            raise ConfigError(
                f"{self._device.name} needs a long-lived access token", hint=f"put it into {TOKENS[0]}"
            )
        self.name = f"{self._device.name}/{self._entity}"

    def read(self) -> Sample:
        """Ask it."""
        status = self._device.get(f"/api/states/{quote(self._entity)}")
        value = number_at(status, "state")
        if value is None:
            raise SourceRetry(f"{self.name} is {status.get('state')!r} just now")
        attributes = status.get("attributes")
        unit = str(attributes.get("unit_of_measurement", "")) if isinstance(attributes, dict) else ""  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        kind, factor = UNITS.get(unit.lower(), ("", 0.0))
        if not kind:
            raise ConfigError(
                f"{self.name} is in {unit or 'no unit'}, not in watts or watt-hours",
                hint="name the plug's power",
            )
        return Sample(value * factor) if kind == "power" else Sample(None, value * factor)
