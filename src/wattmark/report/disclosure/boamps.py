"""BoAmps energy report (Boavizta, schemas CC BY 4.0, github.com/Boavizta/BoAmps): one JSON object of a task's energy.

``powerConsumption`` is an energy in kWh there, whatever its name says.
"""

from __future__ import annotations

import json
import uuid

from wattmark._version import __version__
from wattmark.report.disclosure.footprint import Disclosure, Footprint, Gaps, filled
from wattmark.units import J_PER_KWH

INFRASTRUCTURES = ("publicCloud", "privateCloud", "onPremise", "other")
CONFIDENTIALITY = ("public", "internal", "confidential", "secret")
DATA_TYPES = (
    "tabular", "audio", "boolean", "image", "video", "object", "text", "token", "word", "other",
)  # fmt: skip
KINDS = {"cpu": "cpu", "gpu": "gpu", "memory": "ram"}
URI = "https://github.com/Boavizta/BoAmps/tree/main/model"


def boamps(footprint: Footprint) -> Disclosure:
    """The report; required fields that nobody knows are left out, so a validator names them, and so do the gaps."""
    gaps = Gaps()
    facts = footprint.facts
    publisher = filled(
        {
            "name": facts.get("publisher"),
            "projectName": facts.get("project"),
            "confidentialityLevel": gaps.choice(
                footprint, "confidentiality", "header.publisher.confidentialityLevel", CONFIDENTIALITY
            ),
        }
    )
    if "confidentialityLevel" not in publisher:
        publisher = {}
    accuracy = footprint.number("accuracy")
    algorithm = filled(
        {
            "foundationModelName": gaps.fact(footprint, "model", "task.algorithms.foundationModelName"),
            "foundationModelUri": facts.get("model_uri"),
            "parametersNumber": footprint.number("parameters"),
            "framework": facts.get("framework"),
            "quantization": facts.get("quantization"),
        }
    )
    quantity = footprint.number("data_quantity")
    dataset = filled(
        {
            "dataUsage": "input",
            "dataType": gaps.choice(footprint, "data_type", "task.dataset.dataType", DATA_TYPES),
            "dataQuantity": quantity if quantity is not None else footprint.counts.get("samples"),
            "sourceUri": facts.get("dataset"),
        }
    )
    measure = filled(
        {
            "measurementMethod": "wattmark",
            "version": __version__,
            "cpuTrackingMode": _mode(footprint, "cpu"),
            "gpuTrackingMode": _mode(footprint, "gpu"),
            "powerConsumption": None if footprint.energy is None else footprint.energy.value / J_PER_KWH,
            "measurementDuration": footprint.duration_s,
            "measurementDateTime": footprint.started_at.replace("T", " ")[:19],
        }
    )
    if footprint.energy is None:
        gaps.add("measures.powerConsumption", "no energy was measured")
    components = [
        filled(
            {
                "componentName": part.name,
                "componentType": KINDS.get(part.kind, part.kind),
                "nbComponent": part.count,
                "memorySize": None if part.memory_gb is None else round(part.memory_gb),
            }
        )
        for part in footprint.hardware
    ]
    if not components:
        gaps.add("infrastructure.components", "the runs say nothing of their hardware")
    country = facts.get("country") or ", ".join(dict.fromkeys(footprint.zone_names))
    if not country:
        gaps.add("environment.country", "--zone, or --fact country=...")
    if not footprint.system:
        gaps.add("system.os")
    requests = footprint.counts.get("requests") if facts.get("stage") == "inference" else None
    intensity = footprint.g_per_kwh
    report = {
        "header": filled(
            {
                "licensing": facts.get("licence"),
                "formatVersion": "0.1",
                "formatVersionSpecificationUri": URI,
                "reportId": str(uuid.uuid5(uuid.NAMESPACE_URL, " ".join(footprint.run_ids))),
                "reportDatetime": footprint.ended_at.replace("T", " ")[:19],
                "reportStatus": "draft",
                "publisher": publisher,
            }
        ),
        "task": filled(
            {
                "taskStage": gaps.fact(footprint, "stage", "task.taskStage"),
                "taskFamily": gaps.fact(footprint, "task", "task.taskFamily"),
                "nbRequest": requests,
                "algorithms": [algorithm],
                "dataset": [dataset],
                "measuredAccuracy": accuracy if accuracy is not None and 0 <= accuracy <= 1 else None,
                "taskDescription": footprint.name,
            }
        ),
        "measures": [measure],
        "system": filled({"os": footprint.system}),
        "software": filled({"language": "python", "version": footprint.python}) if footprint.python else {},
        "infrastructure": filled(
            {
                "infraType": gaps.choice(
                    footprint, "infrastructure", "infrastructure.infraType", INFRASTRUCTURES
                ),
                "cloudProvider": facts.get("cloud"),
                "cloudInstance": facts.get("instance"),
                "components": components,
            }
        ),
        "environment": filled(
            {
                "country": country,
                "powerSourceCarbonIntensity": None if intensity is None else intensity.value,
            }
        ),
        "quality": _quality(footprint),
    }
    notes = ("powerConsumption is the energy of computing in kWh, without PUE",)
    return Disclosure(
        "boamps", json.dumps(filled(report), indent=2, ensure_ascii=False), "json", tuple(gaps.found), notes
    )


def _mode(footprint: Footprint, component: str) -> str | None:
    sources = footprint.sources.get(component)
    return None if not sources else ", ".join(sources)


def _quality(footprint: Footprint) -> str | None:
    """In its words: within 10, 25 or 50 %; nothing for what is wider."""
    energy = footprint.energy
    if energy is None or energy.value <= 0:
        return None
    error = max(energy.high / energy.value - 1, 1 - energy.low / energy.value)
    return next(
        (word for limit, word in ((0.1, "high"), (0.25, "medium"), (0.5, "low")) if error <= limit), None
    )
