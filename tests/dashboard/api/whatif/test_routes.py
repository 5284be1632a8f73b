"""What if, through the API: outcomes of the model, differences that know what both sides share, profiles as runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from fakes import study_folders
from fakes.dashboard import api
from fakes.trainings import training
from wattmark.dashboard.context import Options
from wattmark.predict.whatif.difference import difference
from wattmark.quantity import Quantity
from wattmark.store import Store, open_store
from wattmark.workspace.runs import keep

PROFILE = {
    "name": "Sample Profile",
    "components": {"cpu": {"Intel i7 2600K": 1}, "gpu": {"geforce-gtx-1080-ti": 4}},
    "serverData": {"cpu": {"epoch": [0.05] * 6}, "gpu": {"epoch": [0.05] * 6}},
    "location": "California",
    "PUE": 1.59,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def store(root: Path) -> Iterator[Store]:
    study_folders.vision(root / "studies")
    trials = root / "studies/vision/trials.jsonl"
    first, *others = trials.read_text().splitlines()
    trials.write_text("\n".join([json.dumps({**json.loads(first), "run_id": "trial1"}), *others]) + "\n")
    with open_store(str(root / "store.db")) as store:
        keep(store, training("train1"))
        keep(store, training("train2", "another", epochs=4, gpu_w=150))
        keep(store, training("nowhere", zone=None))
        keep(store, training("hidden", gpu="GRID vGPU 17", cpu="AMD EPYC"))
        keep(store, training("trial1", "a trial", tags={"study": "vision"}))
        yield store


@pytest.fixture(scope="module")
def client(store: Store, root: Path) -> Iterator[TestClient]:
    with api(store, Options(studies=root / "studies")) as client:
        yield client


def ask(client: TestClient, *scenarios: dict[str, Any], run: str = "train1", **more: Any) -> dict[str, Any]:
    body = {"run": run, "alternatives": [{"scenario": one} for one in scenarios], **more}
    answer = client.post("/api/v1/whatif", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(client: TestClient, scenario: dict[str, Any], run: str = "train1") -> dict[str, Any]:
    answer = client.post("/api/v1/whatif", json={"run": run, "alternatives": [{"scenario": scenario}]})
    assert answer.status_code == 422, answer.text
    return answer.json()


def test_a_scenario_that_changes_nothing_is_the_original(client: TestClient):
    found = ask(client, {})
    (same,) = found["alternatives"]
    assert same["estimate"]["energy"] == found["original"]["energy"]
    assert same["estimate"]["course"] == found["original"]["course"]
    assert {name: same["difference"][name]["verdict"] for name in ("energy", "carbon", "duration")} == {
        "energy": "same",
        "carbon": "same",
        "duration": "same",
    }


def test_the_shown_carbon_is_the_product_of_the_shown_terms(client: TestClient):
    (found,) = ask(client, {"zone": "PL", "pue": "1.5", "epochs": 20})["alternatives"]
    terms = {term["symbol"]: term["quantity"]["value"] for term in found["estimate"]["terms"]}
    assert found["estimate"]["carbon"]["value"] == pytest.approx(
        terms["E"] / 3.6e6 * terms["PUE"] * terms["I"], rel=1e-12
    )
    assert terms["E"] == pytest.approx(terms["E0"] * terms["r1"])
    assert all(
        term["quantity"]["source"] or term["role"] in ("base", "energy")
        for term in found["estimate"]["terms"]
    )


def test_a_place_changes_the_carbon_and_never_the_joules(client: TestClient):
    found = ask(client, {"zone": "PL"})
    (poland,) = found["alternatives"]
    assert poland["estimate"]["energy"] == found["original"]["energy"]
    assert poland["difference"]["energy"]["verdict"] == "same"
    assert poland["difference"]["carbon"]["verdict"] == "more"
    assert poland["difference"]["carbon"]["low"] > 0


def test_another_pue_in_the_same_place_is_a_clear_difference(client: TestClient):
    """The same joules on the same grid: their errors are shared, so 1.2 is more than 1 however wide they are."""
    (found,) = ask(client, {"pue": "1.2"})["alternatives"]
    carbon = found["difference"]["carbon"]
    assert carbon["verdict"] == "more"
    assert carbon["ratio"] == pytest.approx({"value": 1.2, "low": 1.2, "high": 1.2})


def test_other_hardware_changes_seconds_too_with_an_interval(client: TestClient):
    (found,) = ask(client, {"hardware": [{"id": "h100-sxm", "quantity": 8}]})["alternatives"]
    duration = found["estimate"]["duration"]
    assert duration["value"] < 100
    assert duration["low"] < duration["value"] < duration["high"]
    assert found["difference"]["duration"]["verdict"] in ("less", "unclear")
    assert {share["basis"] for share in found["estimate"]["shares"]} == {"predicted"}


def test_another_cpu_has_an_effect(client: TestClient):
    (found,) = ask(client, {"hardware": [{"id": "cpu:core-i7-2600k", "quantity": 1}]})["alternatives"]
    assert found["difference"]["energy"]["verdict"] != "same"


def test_more_epochs_are_extrapolated_and_say_so(client: TestClient):
    (found,) = ask(client, {"epochs": 12})["alternatives"]
    course = found["estimate"]["course"]
    assert course["epoch"] == list(range(1, 13))
    assert course["extrapolated"] == [False] * 8 + [True] * 4
    total = course["total"]["carbon"]
    terms = {term["symbol"]: term["quantity"] for term in found["estimate"]["terms"]}
    joules, grid = course["total"]["energy"], terms["I"]
    for side, sign in (("low", -1), ("high", 1)):  # errors of joules and of the grid are independent
        off = [
            sign * (part[side] / part["value"] - 1) for part in ({k: v[-1] for k, v in joules.items()}, grid)
        ]
        assert total[side][-1] == pytest.approx(total["value"][-1] * (1 + sign * np.hypot(*off)), rel=1e-6)
    widths = [high - low for low, high in zip(total["low"], total["high"], strict=True)]
    assert widths == sorted(widths)
    assert found["estimate"]["energy"]["high"] > found["estimate"]["energy"]["low"]


def test_there_is_no_cost_without_a_price_and_no_price_is_made_up(client: TestClient):
    found = ask(client, {})
    assert found["original"]["cost"] is None
    assert "price" in found["original"]["unknown"]["cost"]
    priced = ask(client, {"pue": "2"}, original={"price_per_kwh": 0.25, "currency": "EUR"})
    joules = priced["original"]["energy"]["value"]
    assert priced["original"]["cost"]["value"] == pytest.approx(joules / 3.6e6 * 0.25)
    assert priced["original"]["cost"]["unit"] == "EUR"
    assert priced["alternatives"][0]["difference"]["cost"]["ratio"]["value"] == pytest.approx(2)


def test_a_run_without_a_place_has_no_carbon_until_one_is_said(client: TestClient, monkeypatch):
    monkeypatch.delenv("WATTMARK_ZONE", raising=False)
    found = ask(client, {"zone": "SE"}, run="nowhere")
    assert found["run"]["zone"] is None
    assert found["original"]["carbon"] is None
    assert found["alternatives"][0]["estimate"]["carbon"] is not None
    assert found["alternatives"][0]["difference"]["carbon"] is None
    said = ask(client, {"zone": "SE"}, run="nowhere", original={"zone": "DE"})
    assert (said["run"]["zone"], said["run"]["zone_from"]) == ("DE", "you")
    assert said["alternatives"][0]["difference"]["carbon"]["verdict"] == "less"


def test_hardware_that_the_record_hides_may_be_said(client: TestClient):
    wanted = {"hardware": [{"id": "h100-sxm", "quantity": 1}]}
    (unknown,) = ask(client, wanted, run="hidden")["alternatives"]
    assert unknown["estimate"]["energy"] is None
    assert "because" in unknown["estimate"]["unknown"]["energy"]
    said = ask(client, wanted, run="hidden", original={"hardware": [{"id": "a100-sxm4-40", "quantity": 1}]})
    assert [part["id"] for part in said["run"]["accelerators"]] == ["a100-sxm4-40"]
    assert said["alternatives"][0]["estimate"]["energy"] is not None


def test_another_run_can_be_the_alternative(client: TestClient):
    found = client.post("/api/v1/whatif", json={"run": "train1", "alternatives": [{"run": "train2"}]}).json()
    (other,) = found["alternatives"]
    assert other["run"]["name"] == "another"
    joules = other["estimate"]["energy"]["value"] - found["original"]["energy"]["value"]
    assert other["difference"]["energy"]["value"] == pytest.approx(joules)
    assert other["difference"]["energy"]["verdict"] == "less"
    assert other["difference"]["energy"]["high"] < 0


def test_levels_come_from_the_study_that_the_run_is_a_trial_of(client: TestClient):
    factors = {one["name"]: one for one in ask(client, run="trial1")["run"]["factors"]}
    batch = factors["batch_size"]
    assert sorted(batch["levels"]) == ["128", "32"]
    other = next(level for level in batch["levels"] if level != batch["own"])
    (found,) = ask(client, {"levels": {"batch_size": other}}, run="trial1")["alternatives"]
    assert found["estimate"]["energy"] is not None
    assert found["difference"]["energy"]["verdict"] != "same"
    (unknown,) = ask(client, {"levels": {"batch_size": "33"}}, run="trial1")["alternatives"]
    assert "did not try" in unknown["estimate"]["unknown"]["energy"]


def test_a_power_cap_within_the_boards_limits(client: TestClient):
    found = ask(client, {"power_cap_w": 200})
    assert found["run"]["power_cap"]["max"] == 400
    assert found["alternatives"][0]["estimate"]["duration"]["value"] > 100


@pytest.mark.parametrize(
    ("scenario", "word"),
    [
        ({"zone": "Atlantis"}, "Atlantis"),
        ({"pue": "0.5"}, "PUE"),
        ({"pue": "cheap"}, "cheap"),
        ({"pue": "1e308"}, "PUE"),
        ({"pue": "nan"}, "PUE"),
        ({"hardware": [{"id": "abacus"}]}, "abacus"),
        ({"hardware": [{"id": "h100-sxm", "quantity": 1_000_001}]}, "quantity"),
        ({"epochs": 0}, "epochs"),
        ({"power_cap_w": -1}, "power_cap_w"),
        ({"zone": "FR", "year": 1990}, "1990"),
        ({"colour": "green"}, "colour"),
        ({"zone": "F\x00"}, "zone"),
    ],
)
def test_what_cannot_be_is_refused_in_words(client: TestClient, scenario: dict[str, Any], word: str):
    assert word in refused(client, scenario)["message"]


def test_an_unknown_run_is_404(client: TestClient):
    assert client.post("/api/v1/whatif", json={"run": "nobody"}).status_code == 404


def test_a_study_is_a_name_and_no_path(client: TestClient, root: Path):
    assert ask(client, study="../studies/vision")["run"]["study"] is None


def test_a_read_only_dashboard_answers_and_imports_nothing(store: Store):
    with api(store, Options(read_only=True)) as client:
        assert client.post("/api/v1/whatif", json={"run": "train1"}).status_code == 200
        body = {"name": "p.json", "text": json.dumps(PROFILE)}
        assert client.post("/api/v1/whatif/profiles", json=body).status_code == 403


def test_profiles_of_energyvis_become_runs_with_their_place_and_pue(client: TestClient):
    text = json.dumps([PROFILE, {**PROFILE, "name": "In Texas", "location": "Texas"}])
    body = {"name": "profiles.json", "text": text}
    answer = client.post("/api/v1/whatif/profiles", json=body)
    assert answer.status_code == 201
    first, second = answer.json()
    assert [first["name"], second["name"]] == ["Sample Profile", "In Texas"]
    assert [one["id"] for one in client.post("/api/v1/whatif/profiles", json=body).json()] == [
        first["id"],
        second["id"],
    ]  # the same again is the same
    found = client.post(
        "/api/v1/whatif", json={"run": first["id"], "alternatives": [{"run": second["id"]}]}
    ).json()
    assert (found["run"]["zone"], float(found["run"]["pue"])) == ("US-CA", 1.59)
    assert found["alternatives"][0]["run"]["zone"] == "US-TX"
    assert found["original"]["energy"]["value"] == pytest.approx(0.6 * 3.6e6)
    assert found["original"]["course"]["epoch"] == [1, 2, 3, 4, 5, 6]
    assert {share["basis"] for share in found["original"]["shares"]} == {"imported"}
    assert [(one["id"], one["quantity"]) for one in found["run"]["accelerators"]] == [("gtx-1080-ti", 4)]
    listed = client.get("/api/v1/whatif/runs", params={"q": "texas"}).json()
    assert [(run["id"], run["imported"]) for run in listed] == [(second["id"], "energyvis")]


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "nonsense", "[" * 100_000, '{"serverData": 5}', '{"serverData": {"cpu": {"epoch": [-1]}}}',
        '{"serverData": {"cpu": {"epoch": [1' + "0" * 400 + "]}}}",
        '{"name": "\\ud800", "serverData": {"cpu": {"epoch": []}}}',
    ],
)  # fmt: skip
def test_what_is_no_profile_is_refused_in_words(client: TestClient, text: str):
    answer = client.post("/api/v1/whatif/profiles", json={"name": "x.json", "text": text})
    assert answer.status_code == 422
    assert "x.json" in answer.json()["message"]
    assert answer.json()["hint"]


def test_a_profile_with_half_a_character_in_its_name_does_no_harm(client: TestClient):
    text = json.dumps({**PROFILE, "name": "half \ud800"})
    answer = client.post("/api/v1/whatif/profiles", json={"name": "x.json", "text": text})
    assert answer.json()[0]["name"] == "half ?"


def test_a_profile_may_not_be_huge(client: TestClient):
    assert client.post("/api/v1/whatif/profiles", json={"text": " " * (2**21 + 1)}).status_code == 422


def test_runs_to_ask_about_are_found_by_name_id_and_study(client: TestClient):
    def names(**query: str) -> set[str]:
        return {run["name"] for run in client.get("/api/v1/whatif/runs", params=query).json()}

    assert names(q="ANOTHER") == {"another"}
    assert names(q="train2") == {"another"}
    assert names(study="vision") == {"a trial"}
    assert len(client.get("/api/v1/whatif/runs", params={"limit": 2}).json()) == 2


bounds = st.tuples(*[st.floats(0, 1e6)] * 3).map(sorted)


@given(bounds, bounds, bounds)
def test_a_difference_holds_its_value_and_turns_around(shared, old, new):
    common, before, after = (
        Quantity(mid, low, high, "J", error=name)
        for name, (low, mid, high) in zip("abc", (shared, old, new), strict=True)
    )
    first, second = ((common * q).with_unit("J") for q in (before, after))
    there, back = difference(first, second), difference(second, first)
    assert there is not None
    assert back is not None
    assert there.low <= there.value <= there.high
    assert (back.low, back.value, back.high) == pytest.approx((-there.high, -there.value, -there.low))
    assert difference(first, first).verdict == "same"  # pyright: ignore
    assert difference(first, None) is None
