"""Finds old names of settings in params.yaml and dvc.yaml."""

from pathlib import Path

from kshot.first_few import first_few
from kshot.lifecycle.doctor.finding import Finding
from kshot.lifecycle.params_file import old_names

CHECK = "settings"


def findings(root: Path) -> list[Finding]:
    """One finding if a setting has an old name; it must be mended if the two files name a setting differently."""
    old = old_names.found(root)
    if not old:
        return []
    lost = old_names.not_found(root)
    found = "; ".join(f"{name} has old names of settings: {first_few(keys, 5)}" for name, keys in old.items())
    return [
        Finding(
            CHECK,
            f"{found}; dvc.yaml names {first_few(lost, 5)}, which params.yaml has by another name" if lost else found,
            "the names of today",
            "`kshot doctor --mend` renames them; the next retraining then trains once more",
            must=bool(lost),
            by_itself=lambda: old_names.mend(root),
        )
    ]
