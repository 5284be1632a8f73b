"""SPDX 3.0.1, AI profile: an ``AIPackage`` with its ``energyConsumption`` (spdx.github.io/spdx-spec/v3.0.1/model/AI)."""

from __future__ import annotations

import json
import uuid

from wattmark._version import __version__
from wattmark.report.disclosure.footprint import Disclosure, Footprint, Gaps, filled, origin_of
from wattmark.units import J_PER_KWH

CONTEXT = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
KINDS = {
    "training": "ai_trainingEnergyConsumption",
    "finetuning": "ai_finetuningEnergyConsumption",
    "inference": "ai_inferenceEnergyConsumption",
}


def spdx(footprint: Footprint) -> Disclosure:
    """JSON-LD. What the profile requires and nobody said is left out, and listed."""
    gaps = Gaps()
    base = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, ' '.join(footprint.run_ids))}"
    kind = KINDS.get(footprint.facts.get("stage", ""))
    if kind is None:
        gaps.add("energyConsumption", f"--fact stage=...: one of {', '.join(KINDS)}")
    supplier = gaps.fact(footprint, "supplier", "suppliedBy")
    consumption = None
    if kind is not None and footprint.energy is not None:
        consumption = {
            "type": "ai_EnergyConsumption",
            kind: [
                {
                    "type": "ai_EnergyConsumptionDescription",
                    "ai_energyQuantity": f"{footprint.energy.value / J_PER_KWH:.9f}",
                    "ai_energyUnit": "kilowattHour",
                }
            ],
        }
    elif footprint.energy is None:
        gaps.add("energyQuantity", "no energy was measured")
    package = filled(
        {
            "type": "ai_AIPackage",
            "spdxId": f"{base}#model",
            "creationInfo": "_:creation",
            "name": gaps.fact(footprint, "model", "name"),
            "software_packageVersion": gaps.fact(footprint, "model_version", "packageVersion"),
            "software_downloadLocation": gaps.fact(footprint, "download", "downloadLocation"),
            "releaseTime": gaps.fact(footprint, "released", "releaseTime"),
            "software_primaryPurpose": "model",
            "suppliedBy": f"{base}#supplier" if supplier else None,
            "ai_domain": [footprint.facts["task"]] if footprint.facts.get("task") else None,
            "ai_informationAboutTraining": origin_of(footprint) if kind and "training" in kind else None,
            "ai_energyConsumption": consumption,
        }
    )
    graph: list[dict[str, object]] = [
        {
            "type": "CreationInfo",
            "@id": "_:creation",
            "specVersion": "3.0.1",
            "created": f"{footprint.ended_at[:19]}Z",
            "createdBy": [f"{base}#tool"],
        },
        {
            "type": "SoftwareAgent",
            "spdxId": f"{base}#tool",
            "creationInfo": "_:creation",
            "name": f"wattmark {__version__}",
        },
        package,
    ]
    if supplier:
        graph.append(
            {
                "type": "Organization",
                "spdxId": f"{base}#supplier",
                "creationInfo": "_:creation",
                "name": supplier,
            }
        )
    notes = ("energy of computing without PUE; the profile has no place for an interval",)
    text = json.dumps({"@context": CONTEXT, "@graph": graph}, indent=2, ensure_ascii=False)
    return Disclosure("spdx", text, "json", tuple(gaps.found), notes)
