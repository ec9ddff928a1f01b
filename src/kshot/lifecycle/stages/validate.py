"""Stage validate: nothing is trained on data that breaks an expectation."""

import json
from pathlib import Path

import pandas as pd

from kshot.errors import ValidationFailed
from kshot.lifecycle import layout
from kshot.lifecycle.checks import checks, listed, tables
from kshot.lifecycle.expectations import Finding, validate
from kshot.lifecycle.packed import read_classes, read_manifest
from kshot.lifecycle.stages.entry import stage_main
from kshot.params import Params


def run(root: Path, params: Params) -> None:
    """Write validation.json and the Data Docs. Raises ValidationFailed naming expectation, classes and files."""
    folder = root / layout.VALIDATION
    folder.mkdir(parents=True, exist_ok=True)
    unreadable = pd.read_csv(root / layout.PACKED / "unreadable.csv", dtype=str, keep_default_na=False)
    found = tables(read_manifest(root), unreadable, read_classes(root), params)
    findings = validate(found, checks(params), folder / "docs")
    text = json.dumps(summary(findings, found), indent=2, ensure_ascii=False)
    (folder / "validation.json").write_text(text + "\n", encoding="utf-8")
    broken = [finding for finding in findings if finding.broken]
    if broken:
        raise ValidationFailed(
            " | ".join(tell(finding, found[finding.check.table]) for finding in broken)
            + f" (all of it: {layout.VALIDATION / 'docs' / 'index.html'})"
        )
    print(f"{len(findings)} expectations hold for {len(found['images'])} images", flush=True)
    if len(unreadable):
        print(f"set aside as unreadable: {listed(unreadable['path'].tolist())}", flush=True)


def summary(findings: list[Finding], found: dict[str, pd.DataFrame]) -> dict[str, object]:
    """What a later stage and an audit read: every check, and every row that broke it."""
    return {
        "passed": not any(finding.broken for finding in findings),
        "checks": [
            {
                "check": finding.check.name,
                "expectation": finding.check.expectation,
                "arguments": dict(finding.check.arguments),
                "passed": not finding.broken,
                "broken_by": [finding.check.told(found[finding.check.table].iloc[row]) for row in finding.broken],
            }
            for finding in findings
        ],
    }


def tell(finding: Finding, table: pd.DataFrame) -> str:
    """One broken check as a sentence: what was found, what is needed, what to do."""
    rows = [finding.check.told(table.iloc[row]) for row in finding.broken]
    return f"expectation '{finding.check.name}' failed: {listed(rows)}: {finding.check.remedy}"


if __name__ == "__main__":
    stage_main(run)
