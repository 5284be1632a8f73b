"""Formats: what they compute, that they validate, and that nothing is invented."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattmark.errors import ConfigError
from wattmark.quantity import Quantity
from wattmark.report.disclosure import FORMATS, Component, Footprint, disclose
from wattmark.report.disclosure.ai_energy_score import stars_of
from wattmark.report.disclosure.paper import cell, escape
from wattmark.report.disclosure.sci import score_of

SCHEMAS = Path(__file__).parent / "boamps"
FACTS = {
    "model": "llama-3-8b", "stage": "inference", "task": "text generation", "data_type": "token",
    "infrastructure": "onPremise", "confidentiality": "public", "embodied_g": "12", "embodied_source": "a data sheet",
}  # fmt: skip


def footprint(**changes: object) -> Footprint:
    """3.6 MJ (1 kWh), 400 g, 2,000 requests."""
    whole = Footprint(
        "chat",
        ("r1", "r2"),
        "2026-08-01T10:00:00",
        "2026-08-01T12:00:00",
        7200.0,
        Quantity(3.6e6, 3.2e6, 4.0e6, "J", error="scale/x"),
        Quantity.exact(3.6e6),
        None,
        {"gpu": Quantity.exact(2.7e6), "cpu": Quantity.exact(0.9e6)},
        {"gpu": ("counter",), "cpu": ("integrated",)},
        {"gpu": ("nvml",), "cpu": ("rapl",)},
        Quantity(400.0, 300.0, 520.0, "g"),
        ("DE",),
        ("Germany",),
        "Ember, 2024",
        "life cycle",
        counts={"requests": 2000.0},
        hardware=(Component("gpu", "NVIDIA A100", 2), Component("memory", "", 1, 503.6)),
        system="Debian GNU/Linux 12",
        python="3.11.7",
        per="requests",
        facts=FACTS,
    )
    return replace(whole, **changes)  # pyright: ignore[reportArgumentType]


EMPTY = Footprint("nothing", ("r",), "2026-08-01T10:00:00", "2026-08-01T10:00:00", 0.0)


def validator():
    jsonschema = pytest.importorskip("jsonschema")
    referencing = pytest.importorskip("referencing")
    documents = [json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*_schema.json")]
    registry = referencing.Registry().with_resources(
        (document["id"], referencing.jsonschema.DRAFT4.create_resource(document)) for document in documents
    )
    report = next(document for document in documents if document["title"] == "report")
    return jsonschema.Draft4Validator(report, registry=registry)


def test_boamps_is_valid_by_its_schemas_where_everything_is_known() -> None:
    pytest.importorskip("referencing.jsonschema")
    told = disclose(footprint(), "boamps")
    report = json.loads(told.text)
    assert list(validator().iter_errors(report)) == []
    assert told.gaps == ()
    (measure,) = report["measures"]
    assert measure["powerConsumption"] == 1.0  # kWh
    assert report["environment"]["powerSourceCarbonIntensity"] == pytest.approx(400)
    assert report["task"]["nbRequest"] == 2000
    assert report["quality"] == "medium"
    assert report["infrastructure"]["components"][1] == {
        "componentType": "ram", "nbComponent": 1, "memorySize": 504,
    }  # fmt: skip


def test_what_boamps_requires_and_nobody_said_is_listed_and_not_invented() -> None:
    pytest.importorskip("referencing.jsonschema")
    told = disclose(EMPTY, "boamps")
    fields = {gap.field for gap in told.gaps}
    assert {
        "task.taskStage",
        "task.dataset.dataType",
        "infrastructure.infraType",
        "measures.powerConsumption",
    } <= fields
    messages = [error.message for error in validator().iter_errors(json.loads(told.text))]
    assert any("taskStage" in message for message in messages)
    assert any("powerConsumption" in message for message in messages)
    assert all(gap.remedy for gap in told.gaps if gap.field.startswith("task."))


def test_sci_is_computed() -> None:
    # (1 kWh x 400 g/kWh + 12 g) / 2,000 requests
    told = json.loads(disclose(footprint(), "sci").text)
    assert told["score_g_per_unit"]["value"] == pytest.approx(412 / 2000)
    assert told["operational_g_per_unit"]["value"] == pytest.approx(0.2)
    assert told["functional_unit"] == "request"
    coefficients = told["coefficients"]
    assert [coefficients[name]["origin"] for name in "EIMR"] == ["measured", "sourced", "sourced", "measured"]
    assert coefficients["I"]["value"]["value"] == pytest.approx(400)


@given(st.floats(1, 1e9), st.floats(0.1, 2000), st.floats(0, 1e6), st.floats(0.5, 1e9), st.floats(1, 2))
def test_sci_is_e_times_i_plus_m_per_r(
    joules: float, g_per_kwh: float, making: float, units: float, pue: float
) -> None:
    kwh = joules * pue / 3.6e6
    given_ = footprint(
        energy=Quantity.exact(joules),
        pue=Quantity.exact(pue, ""),
        carbon=Quantity.exact(kwh * g_per_kwh, "g"),
        facts={"embodied_g": repr(making), "units": repr(units)},
    )
    score = score_of(given_)
    assert score is not None
    assert score.value == pytest.approx((kwh * g_per_kwh + making) / units, rel=1e-9)
    assert given_.g_per_kwh is not None
    assert given_.g_per_kwh.value == pytest.approx(g_per_kwh)


@pytest.mark.parametrize(("lacking", "field"), [("carbon", "I"), ("energy", "E"), ("per", "R")])
def test_a_score_without_one_of_its_four_is_none(lacking: str, field: str) -> None:
    told = disclose(footprint(**{lacking: None}), "sci")
    assert json.loads(told.text)["score_g_per_unit"] is None
    assert field in {gap.field for gap in told.gaps}
    without = disclose(footprint(facts={}), "sci")
    assert json.loads(without.text)["score_g_per_unit"] is None
    assert json.loads(without.text)["operational_g_per_unit"]["value"] == pytest.approx(0.2)
    assert "M" in {gap.field for gap in without.gaps}


def test_sci_for_ai_has_the_score_of_the_stage_and_leaves_the_other_empty() -> None:
    using = json.loads(disclose(footprint(), "sci-ai").text)
    assert using["consumer"]["score_g_per_unit"]["value"] == pytest.approx(0.206)
    assert using["provider"] is None
    making = json.loads(disclose(footprint(facts={**FACTS, "stage": "training"}), "sci-ai").text)
    assert making["consumer"] is None
    assert making["provider"]["functional_unit"] == "request"
    told = disclose(footprint(facts={}), "sci-ai")
    assert any("stage" in gap.field for gap in told.gaps)


def test_modelled_joules_are_modelled_coefficients() -> None:
    told = json.loads(disclose(footprint(modelled=Quantity.exact(3.0e6)), "sci").text)
    assert told["coefficients"]["E"]["origin"] == "modeled"


def test_stars_cut_the_range_in_five() -> None:
    assert [stars_of(wh, 100, 600) for wh in (100, 200, 200.1, 300, 399, 450, 550, 600, 50, 900)] == [
        5, 5, 4, 4, 3, 2, 1, 1, 5, 1,
    ]  # fmt: skip
    small, large = (
        footprint(facts={"model": "small"}),
        footprint(facts={"model": "large"}, energy=Quantity.exact(7.2e6)),
    )
    told = disclose(footprint(groups=(small, large)), "ai-energy-score")
    rows = [line for line in told.text.splitlines() if line.startswith(("| small", "| large"))]
    assert "| 500 |" in rows[0]  # Wh per 1,000 of 2,000 requests that took 1 kWh
    assert rows[0].endswith("| ★★★★★ |")
    assert rows[1].endswith("| ★ |")
    assert "five equal parts" in told.text
    alone = disclose(footprint(), "ai-energy-score")
    assert "★" not in alone.text
    assert "stars" in {gap.field for gap in alone.gaps}


def test_ai_act_says_whether_the_energy_is_known_or_estimated() -> None:
    facts = {**FACTS, "stage": "training", "flops": "1.5e21"}
    told = disclose(footprint(facts=facts), "ai-act").text
    assert "1.5e+21 FLOP" in told
    assert "1.00 [0.889, 1.11] kWh, known (measured)" in told
    estimated = disclose(footprint(facts=facts, modelled=Quantity.exact(3.6e6)), "ai-act").text
    assert "estimated" in estimated
    assert any("operations" in gap.field for gap in disclose(footprint(), "ai-act").gaps)


@pytest.mark.parametrize("format", ["ai-act", "ghg", "md", "latex"])
def test_a_small_energy_is_not_written_as_nothing(format: str) -> None:
    small = footprint(
        energy=Quantity(3.6, 3.2, 4.0, "J", error="scale/x"), carbon=Quantity(4e-4, 3e-4, 5.2e-4, "g")
    )
    assert "0.000 " not in disclose(small, format).text
    assert "0.000]" not in disclose(small, format).text


def test_model_card_is_yaml_whatever_the_names_are() -> None:
    yaml = pytest.importorskip("yaml")
    evil = footprint(zone_names=('Germany"\n---\nlicense: mit # ',))
    text = disclose(evil, "model-card").text
    front = yaml.safe_load(text.split("---\n")[1] if text.startswith("---\n") else text)
    assert set(front) == {"co2_eq_emissions"}
    assert front["co2_eq_emissions"]["emissions"] == 400
    assert front["co2_eq_emissions"]["hardware_used"] == "2 x NVIDIA A100, 1 x memory"


def test_spdx_has_the_energy_in_its_words() -> None:
    told = disclose(footprint(), "spdx")
    graph = json.loads(told.text)["@graph"]
    package = next(element for element in graph if element["type"] == "ai_AIPackage")
    (energy,) = package["ai_energyConsumption"]["ai_inferenceEnergyConsumption"]
    assert energy == {
        "type": "ai_EnergyConsumptionDescription",
        "ai_energyQuantity": "1.000000000",
        "ai_energyUnit": "kilowattHour",
    }
    assert {"suppliedBy", "downloadLocation", "packageVersion", "releaseTime"} <= {
        gap.field for gap in told.gaps
    }


def test_ghg_keeps_both_methods_apart() -> None:
    told = disclose(footprint(facts={**FACTS, "market_g_per_kwh": "50", "market_source": "contract"}), "ghg")
    assert "| scope 2, location-based | 400 [300, 520] | Ember, 2024 |" in told.text
    assert "| scope 2, market-based | 50.0 [44.4, 55.6] | contract |" in told.text
    assert any("category 3" in note for note in told.notes)
    without = disclose(footprint(facts={}, signal="marginal"), "ghg")
    fields = {gap.field for gap in without.gaps}
    assert {"scope 2, location-based", "scope 2, market-based"} <= fields
    assert "| scope 2, location-based |  |  |" in without.text


def test_paper_has_intervals_and_methods() -> None:
    text = disclose(footprint(), "md").text
    assert (
        "chat (2 runs, 2 h 0 min) used 3.60 MJ [3.20 MJ, 4.00 MJ], measured (gpu: nvml (counter); cpu: rapl"
        in text
    )
    assert "Germany (Ember, 2024) that is 400 g [300 g, 520 g] CO2e" in text
    tex = disclose(footprint(name="50% of _all_ \\input{x}"), "latex").text
    assert "50\\% of \\_all\\_ \\textbackslash{}input\\{x\\}" in tex
    assert tex.count(r"\begin{tabular}") == tex.count(r"\end{tabular}") == 1
    assert json.loads(disclose(footprint(), "json").text)["energy_j"]["value"] == 3.6e6


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_makes_something_of_nothing_and_lists_it(format: str) -> None:
    told = disclose(EMPTY, format)
    assert told.text
    assert told.gaps
    assert "nan" not in told.text.casefold().replace("finance", "")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(ConfigError, match="no format"):
        disclose(EMPTY, "iso-9001")


@given(st.text(max_size=40))
def test_no_name_leaves_its_cell(name: str) -> None:
    row = f"| {cell(name)} |"
    assert "\n" not in row
    assert row.replace("\\|", "").count("|") == 2 or "\\\\|" in row
    assert "<" not in cell(name)
    tex = escape(name)
    for sign in "%&#":
        assert tex.replace(f"\\{sign}", "").count(sign) == 0


@pytest.mark.parametrize("format", FORMATS)
def test_no_joules_at_all_are_no_trouble(format: str) -> None:
    """A process tree that slept, beside busy neighbours."""
    none = Quantity.exact(0.0)
    told = disclose(footprint(energy=none, modelled=none, energy_by_component={"gpu": none}), format)
    assert told.text
