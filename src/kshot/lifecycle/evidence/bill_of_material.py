"""The CycloneDX 1.6 bill of material (JSON) of a model: each field says what it was verified against."""

import re
import uuid
from typing import Any

from kshot.lifecycle.evidence.described_model import DescribedModel

SPEC = "1.6"
MODEL, DATA = "model", "data"  # bom-refs


def bill_of_material(about: DescribedModel) -> dict[str, Any]:
    """The bill of material."""
    seed = f"urn:kshot:{about.project}:{about.version}:{about.manifest_sha256}"
    libraries = [_library(name, about.packages[name]) for name in sorted(about.packages)]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, seed)}",
        "version": 1,
        "metadata": {
            "timestamp": about.decided,
            "component": _model(about),
            "properties": _verified(
                {
                    "components[type=library]": "run/environment.json by version, as found when the model was trained; "
                    "the content of packages is not recorded"
                }
            ),
        },
        "components": [_data(about), *libraries],
        "dependencies": [{"ref": MODEL, "dependsOn": [DATA, *(one["bom-ref"] for one in libraries)]}],
    }


def _model(about: DescribedModel) -> dict[str, Any]:
    by = about.classifier
    return {
        "type": "machine-learning-model",
        "bom-ref": MODEL,
        "name": about.project,
        "version": about.version,
        "description": f"A few-shot image classifier: it predicts by {by} from embedded support images.",
        "hashes": _sha256(about.manifest_sha256),
        "components": [
            {"type": "file", "name": name, "hashes": _sha256(about.weights[name])} for name in sorted(about.weights)
        ],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "few-shot image classification",
                "architectureFamily": about.network,
                "modelArchitecture": f"{about.network}, method {about.method}, classifier {by}",
                "datasets": [{"ref": DATA}],
                "inputs": [{"format": "image"}],
                "outputs": [{"format": "class of the support set, or unknown"}],
            },
            "quantitativeAnalysis": {"performanceMetrics": _performance(about.metrics, about.groups)},
            "considerations": {
                "useCases": ["telling apart classes of which a few labelled images (support) are given"],
                "technicalLimitations": list(about.limits),
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


def _data(about: DescribedModel) -> dict[str, Any]:
    counts = {"images": about.images, "classes": about.class_count, "md5 of DVC's listing": about.data_version}
    properties = [{"name": name, "value": str(value)} for name, value in counts.items()]
    name = f"data version {about.data_version}"
    return {
        "type": "data",
        "bom-ref": DATA,
        "name": f"{about.project} images",
        "version": about.data_version,
        "data": [{"type": "dataset", "name": name, "contents": {"properties": properties}}],
        "properties": _verified(
            {
                "version": "the md5 of listings/, the dvc.lock and the tag of the version",
                "data": "data/manifest.csv, whose md5 the listing names",
                "licenses": "nothing: not recorded",
            }
        ),
    }


def _library(name: str, version: str) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": f"package:{name}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}",
    }


def _sha256(content: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": content}]


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
