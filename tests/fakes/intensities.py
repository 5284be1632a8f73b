"""Answers in the shapes that publishers document, with made-up values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

from wattmark.testing.carbon import Asked, Said
from wattmark.testing.carbon.provider_contract import HOUR_S, NOW_S

FIRST_S = NOW_S - 6 * HOUR_S
Values = Sequence[float | None]


def iso(moment: float, form: str = "%Y-%m-%dT%H:%M:%S.000Z") -> str:
    return datetime.fromtimestamp(moment, timezone.utc).strftime(form)


def hours(values: Values) -> list[tuple[float, float | None]]:
    return [(FIRST_S + hour * HOUR_S, value) for hour, value in enumerate(values)]


def electricity_maps(asked: Asked, values: Values, zone: str = "DE", version: int = 4) -> Said:
    rows = [
        {
            "zone": zone,
            "carbonIntensity": value,
            "datetime": iso(start),
            "updatedAt": iso(NOW_S),
            "createdAt": iso(start),
            "emissionFactorType": "lifecycle",
            "isEstimated": False,
            "estimationMethod": None,
        }
        for start, value in hours(values)
    ]
    if asked.path.endswith("/latest"):
        return Said(json={**rows[-1], "isEstimated": True, "datetime": iso(NOW_S), "carbonIntensity": 77})
    if asked.path.endswith("/forecast"):
        ahead = [{"carbonIntensity": 60 + hour, "datetime": iso(NOW_S + hour * HOUR_S)} for hour in range(24)]
        body = {"zone": zone, "updatedAt": iso(NOW_S)}
        return Said(
            json={**body, "data" if version == 4 else "forecast": ahead, "temporalGranularity": "hourly"}
        )
    key = "data" if version == 4 or asked.path.endswith("/past-range") else "history"
    return Said(json={"zone": zone, key: rows, "temporalGranularity": "hourly"})


def watttime(
    asked: Asked, values: Values, region: str = "CAISO_NORTH", units: str = "lbs_co2_per_mwh"
) -> Said:
    if asked.path == "/login":
        return Said(json={"token": "a-token-of-30-minutes"})
    if asked.path.endswith("/forecast"):
        rows = [
            {"point_time": iso(NOW_S + 300 * step, "%Y-%m-%dT%H:%M:%S+00:00"), "value": 50.0}
            for step in range(12)
        ]
    else:
        rows = [
            {
                "point_time": iso(start + 300 * step, "%Y-%m-%dT%H:%M:%S+00:00"),
                "value": None if value is None else value / 0.45359237,
                "last_updated": iso(NOW_S),
            }
            for start, value in hours(values)
            for step in range(12)
        ]
    meta = {
        "data_point_period_seconds": 300,
        "region": region,
        "warnings": [],
        "signal_type": asked.query["signal_type"],
        "model": {"date": "2026-03-01"},
        "units": units,
    }
    return Said(json={"data": rows, "meta": meta})


def uk(asked: Asked, values: Values) -> Said:
    rows = [
        {
            "from": iso(start + half * 1800, "%Y-%m-%dT%H:%MZ"),
            "to": iso(start + half * 1800 + 1800, "%Y-%m-%dT%H:%MZ"),
            "intensity": {"forecast": value, "actual": value, "index": "moderate"},
        }
        for start, value in hours(values)
        for half in (0, 1)
    ]
    return Said(json={"data": rows})


def carbon_aware(asked: Asked, values: Values, location: str = "westus") -> Said:
    if asked.path == "/emissions/bylocation":
        return Said(
            json=[
                {
                    "location": location,
                    "time": iso(start, "%Y-%m-%dT%H:%M:%S+00:00"),
                    "rating": value,
                    "duration": "01:00:00",
                }
                for start, value in hours(values)
            ]
        )
    points = [
        {
            "location": location,
            "timestamp": iso(NOW_S + 300 * step, "%Y-%m-%dT%H:%M:%S+00:00"),
            "duration": 5,
            "value": 20.0,
        }
        for step in range(12)
    ]
    return Said(
        json=[{"generatedAt": iso(NOW_S), "location": location, "windowSize": 10, "forecastData": points}]
    )


def proxy(asked: Asked, values: Values, zone: str = "DE") -> Said:
    points = [
        {
            "start": iso(start),
            "end": iso(start + HOUR_S),
            "g_per_kwh": value,
            "estimated": False,
            "forecast": False,
        }
        for start, value in hours(values)
    ]
    return Said(json={"zone": zone, "signal": asked.query.get("signal", "average"), "unit": "g/kWh", "source": "a grid",
                      "points": points})  # fmt: skip


GL = "urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0"


def series(kind: str, points: Sequence[tuple[int, float]], *, start: float = FIRST_S, end: float = NOW_S,
           step: str = "PT60M", curve: str = "A01", side: str = "in") -> str:  # fmt: skip
    rows = "".join(
        f"<Point><position>{at}</position><quantity>{value}</quantity></Point>" for at, value in points
    )
    return (
        f"<TimeSeries><mRID>1</mRID><{side}BiddingZone_Domain.mRID codingScheme='A01'>10YFR-RTE------C"
        f"</{side}BiddingZone_Domain.mRID><quantity_Measure_Unit.name>MAW</quantity_Measure_Unit.name>"
        f"<curveType>{curve}</curveType><MktPSRType><psrType>{kind}</psrType></MktPSRType><Period><timeInterval>"
        f"<start>{iso(start, '%Y-%m-%dT%H:%MZ')}</start><end>{iso(end, '%Y-%m-%dT%H:%MZ')}</end></timeInterval>"
        f"<resolution>{step}</resolution>{rows}</Period></TimeSeries>"
    )


def market(*parts: str) -> Said:
    return Said(
        body=f"<?xml version='1.0'?><GL_MarketDocument xmlns='{GL}'>{''.join(parts)}</GL_MarketDocument>".encode()
    )


def acknowledgement(text: str = "No matching data found for Data item") -> Said:
    return Said(
        body=(
            "<?xml version='1.0'?><Acknowledgement_MarketDocument xmlns='urn:iec62325.351:tc57wg16:451-1:"
            f"acknowledgementdocument:7:0'><Reason><code>999</code><text>{text}</text></Reason></Acknowledgement_MarketDocument>"
        ).encode()
    )


def entsoe(asked: Asked, values: Values) -> Said:
    """Coal (820) and wind (11) in the shares that make the mix as asked; where it is None there is no point."""
    shares = [(at, (value - 11) / (820 - 11)) for at, value in enumerate(values, 1) if value is not None]
    return market(
        series("B05", [(at, round(1e6 * share, 6)) for at, share in shares]),
        series("B19", [(at, round(1e6 * (1 - share), 6)) for at, share in shares]),
    )
