"""For people who write providers of carbon intensity: the contract that ours pass, and a server with known answers."""

from wattmark.testing.carbon.intensity_server import Asked, IntensityServer, Said
from wattmark.testing.carbon.provider_contract import CarbonProviderContract

__all__ = ["Asked", "CarbonProviderContract", "IntensityServer", "Said"]
