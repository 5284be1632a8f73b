"""Where this machine is: what a person said first, then what is on the machine, never a guess."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from wattmark.errors import ConfigError
from wattmark.impact import resolve_zone


def cloud_init(root: Path, content: Mapping[str, object] | str) -> None:
    file = root / "run/cloud-init/instance-data.json"
    file.parent.mkdir(parents=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))


def firmware(root: Path, file: str, text: str) -> None:
    folder = root / "sys/class/dmi/id"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text + "\n")


def found(root: Path, environ: Mapping[str, str], explicit: str | None = None, configured: str | None = None):
    answer = resolve_zone(explicit, environ, str(root), configured=configured)
    return answer and (answer.zone.id, answer.how)


def test_the_order_is_flag_environment_configuration_machine(tmp_path: Path) -> None:
    cloud_init(tmp_path, {"v1": {"cloud_name": "aws", "region": "eu-west-3"}})
    environ = {"WATTMARK_ZONE": "SE"}
    assert found(tmp_path, environ, "FR", "NO") == ("FR", "--zone")
    assert found(tmp_path, environ, None, "NO") == ("SE", "WATTMARK_ZONE")
    assert found(tmp_path, {"WATTMARK_ZONE": " "}, "", "NO") == ("NO", "configuration")
    assert found(tmp_path, {}) == ("aws:eu-west-3", "/run/cloud-init/instance-data.json")


def test_nothing_known_is_none(tmp_path: Path) -> None:
    assert found(tmp_path, {"TZ": "Europe/Paris", "LANG": "fr_FR.UTF-8"}) is None


@pytest.mark.parametrize(
    ("v1", "zone"),
    [
        ({"cloud_name": "gce", "region": "europe-west1"}, "gcp:europe-west1"),
        ({"cloud_name": "gce", "region": None, "availability_zone": "europe-west1-b"}, "gcp:europe-west1"),
        ({"cloud_name": "azure", "region": "francecentral"}, "azure:francecentral"),
        ({"cloud_name": "aws", "region": "us-east-1", "availability_zone": "us-east-1f"}, "aws:us-east-1"),
    ],
)
def test_cloud_init_tells_cloud_and_region(tmp_path: Path, v1: dict[str, object], zone: str) -> None:
    cloud_init(tmp_path, {"v1": v1})
    assert found(tmp_path, {}) == (zone, "/run/cloud-init/instance-data.json")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"v1": 3}',
        '{"v1": {"cloud_name": "aws", "region": "mars-1"}}',
        '{"v1": {"region": "FR"}}',
    ],
)
def test_cloud_init_data_of_no_use_are_passed_over(tmp_path: Path, content: str) -> None:
    cloud_init(tmp_path, content)
    assert found(tmp_path, {}) is None


@pytest.mark.parametrize(
    ("file", "text", "environ", "zone"),
    [
        ("sys_vendor", "Amazon EC2", {"AWS_DEFAULT_REGION": "eu-north-1"}, "aws:eu-north-1"),
        (
            "product_name",
            "Google Compute Engine",
            {"GOOGLE_CLOUD_REGION": "europe-west9"},
            "gcp:europe-west9",
        ),
        (
            "chassis_asset_tag",
            "7783-7084-3265-9085-8269-3286-77",
            {"AZURE_REGION": "UK South"},
            "azure:uksouth",
        ),
    ],
)
def test_a_region_variable_counts_on_a_machine_of_that_cloud(
    tmp_path: Path, file: str, text: str, environ: dict[str, str], zone: str
) -> None:
    firmware(tmp_path, file, text)
    assert found(tmp_path, environ) == (zone, next(iter(environ)))


def test_a_region_variable_on_a_laptop_does_not_say_where_the_laptop_is(tmp_path: Path) -> None:
    firmware(tmp_path, "sys_vendor", "LENOVO")
    environ = {"AWS_REGION": "us-east-1", "CLOUD_ML_REGION": "us-central1", "AZURE_REGION": "westus"}
    assert found(tmp_path, environ) is None


def test_hyper_v_on_ones_own_machine_is_not_azure(tmp_path: Path) -> None:
    firmware(tmp_path, "sys_vendor", "Microsoft Corporation")
    assert found(tmp_path, {"AZURE_REGION": "westus"}) is None


def test_a_clouds_runtime_vouches_for_its_region(tmp_path: Path) -> None:
    environ = {"AWS_LAMBDA_FUNCTION_NAME": "train", "AWS_REGION": "eu-west-1"}
    assert found(tmp_path, environ) == ("aws:eu-west-1", "AWS_REGION")


@pytest.mark.parametrize(("explicit", "environ", "how"), [("Frence", {}, "--zone"), (None, {"WATTMARK_ZONE": "Frence"}, "WATTMARK_ZONE")])  # fmt: skip  # noqa: E501
def test_what_a_person_wrote_wrongly_is_an_error_that_says_where(
    tmp_path: Path, explicit: str | None, environ: dict[str, str], how: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{how}: no zone is called 'Frence'") as caught:
        resolve_zone(explicit, environ, str(tmp_path))
    assert "FR (France)" in str(caught.value.hint)
