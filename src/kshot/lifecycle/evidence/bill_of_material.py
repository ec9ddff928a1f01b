"""The CycloneDX 1.6 bill of material (JSON) of a model: each field says what it was verified against."""

import re
import uuid
from typing import Any

from kshot.lifecycle.evidence.model_card import inference_of

SPEC = "1.6"
MODEL, DATA = "model", "data"  # bom-refs


def bill_of_material(
    *,
    project: str,
    version: str,
    decided: str,
    manifest_sha256: str,
    served: dict[str, str],
    weights: list[str],
    metrics: dict[str, Any],
    groups: list[dict[str, str]],
    data_version: str,
    images: int,
    classes: int,
    packages: dict[str, str],
    network: str,
    limits: list[str],
) -> dict[str, Any]:
    """The bill of material.

    decided   when the version was decided about, ISO 8601
    served    file to sha256 of the served model; `weights` names those that hold what was trained
    metrics   reports/metrics.json
    groups    rows of evaluation/groups.csv
    network   the backbone's name
    """
    seed = f"urn:kshot:{project}:{version}:{manifest_sha256}"
    by, method = inference_of(metrics)
    model = {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": project,
        "version": version,
        "description": f"A few-shot image classifier: it predicts by {by} from embedded support images.",
        "hashes": [{"alg": "SHA-256", "content": manifest_sha256}],
        "components": [
            {"type": "file", "name": name, "hashes": [{"alg": "SHA-256", "content": served[name]}]} for name in weights
        ],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "few-shot image classification",
                "architectureFamily": network,
                "modelArchitecture": f"{network}, method {method}, classifier {by}",
                "datasets": [{"ref": DATA}],
                "inputs": [{"format": "image"}],
                "outputs": [{"format": "class of the support set, or unknown"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": _performance(metrics, groups)},
            "considerations": {
                "useCases": ["telling apart classes of which a few labelled images (support) are given"],
                "technicalLimitations": limits,
            },
        },
        "properties": _verified(
            {
                "version": "the registry's version, and the last event in events.jsonl",
                "hashes": "served-model.json, whose sha256 the event names",
                "components": "served-model.json; with the model at hand its files were hashed",
                "modelCard.modelParameters.architectureFamily": "the params of stage train in its statement",
                "modelCard.modelParameters.datasets": "data/manifest.csv, by the md5 of listings/",
                "modelCard.quantitativeAnalysis": "predictions/, recomputed; run/metrics.json",
                "modelCard.considerations": "nothing: written by kshot for every model",
            }
        ),
    }
    data = {
        "type": "data",
        "bom-ref": DATA,
        "name": f"{project} images",
        "version": data_version,
        "data": [
            {
                "type": "dataset",
                "name": f"data version {data_version}",
                "contents": {
                    "properties": [
                        {"name": "images", "value": str(images)},
                        {"name": "classes", "value": str(classes)},
                        {"name": "md5 of DVC's listing", "value": data_version},
                    ]
                },
            }
        ],
        "properties": _verified(
            {
                "version": "the md5 of listings/, the dvc.lock and the tag of the version",
                "data": "data/manifest.csv, whose md5 the listing names",
                "licenses": "nothing: not recorded",
            }
        ),
    }
    libraries = [
        {
            "type": "library",
            "bom-ref": f"package:{name}",
            "name": name,
            "version": packages[name],
            "purl": f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{packages[name]}",
        }
        for name in sorted(packages)
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, seed)}",
        "version": 1,
        "metadata": {
            "timestamp": decided,
            "component": model,
            "properties": _verified(
                {
                    "components[type=library]": "run/environment.json by version, as found when the model was trained; "
                    "the content of packages is not recorded"
                }
            ),
        },
        "components": [data, *libraries],
        "dependencies": [{"ref": MODEL, "dependsOn": [DATA, *(one["bom-ref"] for one in libraries)]}],
    }


def _performance(metrics: dict[str, Any], groups: list[dict[str, str]]) -> list[dict[str, Any]]:
    found = [
        _metric("accuracy", name, one["mean"], one["low"], one["high"]) for name, one in metrics["accuracy"].items()
    ]
    found += [
        _metric(
            "accuracy of a group", f"{row['protocol']} {row['group']}", row["accuracy"], row.get("low"), row.get("high")
        )
        for row in groups
        if row["group"]
    ]
    for name, one in metrics.get("unknown", {}).items():
        found += [
            {"type": f"open set: {key}", "value": repr(one[key]), "slice": name}
            for key in ("auroc", "accepted", "false_accept")
            if one[key] is not None
        ]
    return found


def _metric(kind: str, where: str, mean: object, low: object, high: object) -> dict[str, Any]:
    found = {"type": kind, "value": str(mean), "slice": where}
    if low in (None, "") or high in (None, ""):  # a single episode has no interval
        return found
    return {**found, "confidenceInterval": {"lowerBound": str(low), "upperBound": str(high)}}


def _verified(against: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": f"kshot:verified-against:{field}", "value": what} for field, what in against.items()]
