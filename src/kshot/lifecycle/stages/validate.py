"""Stage validate: stops the pipeline if the data breaks an expectation."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import yaml

from kshot.errors import ValidationFailed
from kshot.first_few import first_few
from kshot.lifecycle.data.packed import read_classes, read_manifest
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.tables import counted
from kshot.lifecycle.settings_fit.class_fit import class_fit
from kshot.lifecycle.settings_fit.resolved import resolved_here
from kshot.lifecycle.stages.entry import stage_main
from kshot.lifecycle.validation.checked_tables import tables
from kshot.lifecycle.validation.checks import checks
from kshot.lifecycle.validation.class_demands import left_out_lines
from kshot.lifecycle.validation.expectations import Finding, validate
from kshot.lifecycle.validation.page import write_validation_page
from kshot.lifecycle.validation.text import COUNTS, FITTING, PAGE, ClassFit, block, proposal, supplies
from kshot.params.renamed import nested
from kshot.params.schema import AUTO, Params


def run(root: Path, params: Params) -> None:
    """Write validation.json and the page. Raises ValidationFailed with a block of what fails and what would fit.

    If a check fails, the stage reads more than dvc.yaml lists for it (pixels and other settings). That is safe, because
    a failed stage leaves no entry in dvc.lock and always runs again.
    """
    folder = root / layout.VALIDATION
    folder.mkdir(parents=True, exist_ok=True)
    manifest = read_manifest(root)
    unreadable = pd.read_csv(root / layout.PACKED / "unreadable.csv", dtype=str, keep_default_na=False)
    classes = read_classes(root)
    given, params = params, resolved_here(root, params)
    found = tables(manifest, unreadable, classes, params)
    findings = validate(found, checks(params))
    left_out = left_out_lines(manifest, classes[classes["rotation"] == 0], params)
    content = {**summary(findings, found), "left_out": left_out}
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / "validation.json").write_text(text + "\n", encoding="utf-8")
    broken = [finding for finding in findings if finding.broken]
    fitted = fitting(root, manifest, params) if any(one.check.name in COUNTS for one in broken) else None
    if fitted is not None and given.train.batch.classes == AUTO:
        for key in ("train.batch.classes", "train.batch.mine_neighbours"):
            fitted.settings.pop(key, None)
    if fitted is not None and fitted.settings:
        settings = yaml.safe_dump(nested(fitted.settings), sort_keys=False)
        (root / FITTING).write_text(settings, encoding="utf-8")
    proposed = proposal(fitted, params) if fitted is not None else []
    write_validation_page(root, root / PAGE, findings, found, proposed, params.ingest.invert)
    if broken:
        error = ValidationFailed(one_line(broken, found))
        error.block = tuple(block(broken, found, fitted, params))
        raise error
    print(f"{len(findings)} expectations hold for {len(found['images'])} images", flush=True)
    for line in left_out:
        print(line, flush=True)
    if len(unreadable):
        print(f"set aside as unreadable: {first_few(unreadable['path'].tolist(), between='; ')}", flush=True)


def fitting(root: Path, manifest: pd.DataFrame, params: Params) -> ClassFit:
    """The settings that the data can fill, with the split method chosen by stage split."""
    by = json.loads((root / layout.SPLIT / "split.json").read_text(encoding="utf-8"))["by"]
    return class_fit(supplies(manifest), params, by)


def one_line(broken: Sequence[Finding], found: Mapping[str, pd.DataFrame]) -> str:
    """The failed checks and one example of the first, for Prefect, MLflow and the webhook, which show no block."""
    first, *others = broken
    rows = found[first.check.table].iloc[list(first.broken)]
    if "images" in rows:
        rows = rows.sort_values(["images", "name"])  # the classes with the fewest images, as in the block
    more = f", and {len(rows) - 1:,} more" if len(rows) > 1 else ""
    example = f"{first.check.name} ({first.check.text(rows.iloc[0])}{more})"
    return (
        f"the data fails {counted(len(broken), 'check')}: {'; '.join([example, *(one.check.name for one in others)])}"
    )


def summary(findings: list[Finding], found: dict[str, pd.DataFrame]) -> dict[str, object]:
    """Content for later stages and audits: every check, and every row that broke it."""
    return {
        "passed": not any(finding.broken for finding in findings),
        "checks": [
            {
                "check": finding.check.name,
                "expectation": finding.check.expectation,
                "arguments": dict(finding.check.arguments),
                "passed": not finding.broken,
                "broken_by": [finding.check.text(found[finding.check.table].iloc[row]) for row in finding.broken],
            }
            for finding in findings
        ],
    }


if __name__ == "__main__":
    stage_main(run)
