"""Every provider over the network against the public contract."""

from __future__ import annotations

from collections.abc import Sequence

from fakes import intensities as shapes
from wattmark.impact.providers import CarbonProvider
from wattmark.impact.providers.carbon_aware import CarbonAware
from wattmark.impact.providers.electricity_maps import ElectricityMaps
from wattmark.impact.providers.entsoe import Entsoe
from wattmark.impact.providers.keys import Secret
from wattmark.impact.providers.proxy import Proxy
from wattmark.impact.providers.uk import UkCarbonIntensity
from wattmark.impact.providers.watttime import WattTime
from wattmark.impact.providers.web import Web
from wattmark.impact.series import Signal
from wattmark.testing.carbon import Asked, CarbonProviderContract, Said
from wattmark.testing.carbon.provider_contract import KEY


class TestElectricityMaps(CarbonProviderContract):
    def provider(self, url: str, web: Web) -> CarbonProvider:
        return ElectricityMaps(url, Secret(KEY), web)

    def zone(self) -> str:
        return "DE"

    def answer(self, asked: Asked, values: Sequence[float | None]) -> Said:
        return shapes.electricity_maps(asked, values)


class TestElectricityMapsLegacy(TestElectricityMaps):
    def answer(self, asked: Asked, values: Sequence[float | None]) -> Said:
        return shapes.electricity_maps(asked, values, version=3)


class TestWattTime(CarbonProviderContract):
    def provider(self, url: str, web: Web) -> CarbonProvider:
        return WattTime(url, Secret("user"), Secret(KEY), web)

    def zone(self) -> str:
        return "CAISO_NORTH"

    def answer(self, asked: Asked, values: Sequence[float | None]) -> Said:
        return shapes.watttime(asked, values)


class TestUk(CarbonProviderContract):
    def provider(self, url: str, web: Web) -> CarbonProvider:
        return UkCarbonIntensity(url, web)

    def zone(self) -> str:
        return "GB"

    def answer(self, asked: Asked, values: Sequence[float | None]) -> Said:
        return shapes.uk(asked, values)


class TestEntsoe(CarbonProviderContract):
    def provider(self, url: str, web: Web) -> CarbonProvider:
        return Entsoe(url, Secret(KEY), web)

    def zone(self) -> str:
        return "FR"

    def answer(self, asked: Asked, values: Sequence[float | None]) -> Said:
        return shapes.entsoe(asked, values)


class TestCarbonAware(CarbonProviderContract):
    def provider(self, url: str, web: Web) -> CarbonProvider:
        return CarbonAware(url, web)

    def zone(self) -> str:
        return "westus"

    def signal(self) -> Signal:
        return "marginal"

    def answer(self, asked: Asked, values: Sequence[float | None]) -> Said:
        return shapes.carbon_aware(asked, values)


class TestProxy(CarbonProviderContract):
    def provider(self, url: str, web: Web) -> CarbonProvider:
        return Proxy(url, Secret(KEY), web)

    def zone(self) -> str:
        return "DE"

    def answer(self, asked: Asked, values: Sequence[float | None]) -> Said:
        return shapes.proxy(asked, values)
