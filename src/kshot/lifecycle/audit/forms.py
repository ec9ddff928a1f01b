"""Audits for programs: JSON with every field, and CSV with one row per link, run, champion or place."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from typing import Any

from kshot.lifecycle.audit.classes import ClassAudit
from kshot.lifecycle.audit.data import DataAudit
from kshot.lifecycle.audit.model import ModelAudit
from kshot.lifecycle.history.champions import ChampionPeriod

Audit = ModelAudit | DataAudit | ClassAudit


def to_json(found: "Audit | Sequence[ChampionPeriod]") -> str:
    """Every field; times in ISO 8601."""
    if isinstance(found, Sequence):
        value: Any = [dataclasses.asdict(one) for one in found]
    else:
        value = dataclasses.asdict(found)
        if not isinstance(found, ClassAudit):
            value["holds"] = not found.failed
    return json.dumps(value, indent=2, ensure_ascii=False, default=lambda moment: moment.isoformat())


def to_csv(found: "Audit | Sequence[ChampionPeriod]") -> str:
    """One table: a row per link of a model, run of a data version, champion, or place of a class."""
    rows = _rows(found)
    text = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().rstrip("\n")


def _rows(found: "Audit | Sequence[ChampionPeriod]") -> list[dict[str, Any]]:
    if isinstance(found, ModelAudit):
        return [{"version": found.version, **dataclasses.asdict(link)} for link in found.links]
    if isinstance(found, DataAudit):
        decided = {one.version: one for one in found.models}
        rows: list[dict[str, Any]] = []
        for run in found.runs:
            model = decided.get(run.version)
            shown: dict[str, Any] = {} if model is None else dict(model.accuracy)
            rows.append(
                {
                    "data_version": found.data.md5,
                    "run": run.run_id,
                    "started": run.started.isoformat(),
                    "status": run.status,
                    "version": run.version,
                    "decision": model.decision if model else "",
                    "champion": "; ".join(_times(period) for period in model.periods) if model else "",
                    **shown,
                    **run.params,
                }
            )
        return rows
    if isinstance(found, ClassAudit):
        data = [{"class": found.name, "data_version": one.md5, "images": one.images} for one in found.data]
        models = [
            {"class": found.name, "data_version": one.data_version, "version": one.version, "how": one.how}
            for one in found.models
        ]
        return data + models
    return [
        {
            "version": one.version,
            "since": one.since.isoformat(),
            "until": one.until.isoformat() if one.until else "",
        }
        for one in found
    ]


def _times(period: ChampionPeriod) -> str:
    return f"{period.since.isoformat()} to {period.until.isoformat() if period.until else 'now'}"
