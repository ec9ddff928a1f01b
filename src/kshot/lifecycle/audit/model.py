"""`kshot audit --model`: verifies every link of the chain from a version's data to its alias."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kshot.lifecycle.audit.decision import decision
from kshot.lifecycle.audit.link import Link, checked
from kshot.lifecycle.audit.links import anchor, code, origin, results, served, tags
from kshot.lifecycle.audit.subject import Subject, opened
from kshot.lifecycle.data.dvc_cache import bar
from kshot.lifecycle.project import layout


@dataclass(frozen=True)
class ModelAudit:
    """The chain of one version, from the model to the history of its alias; `at` in UTC."""

    version: str
    aliases: tuple[str, ...]
    run_id: str
    data_version: str
    at: datetime
    deep: bool
    links: tuple[Link, ...]

    @property
    def failed(self) -> tuple[Link, ...]:
        """The links that do not hold."""
        return tuple(link for link in self.links if not link.holds)


def audit_model(root: Path, name: str, *, deep: bool = False, quiet: bool = True) -> ModelAudit:
    """Verify every link of the version with that number or alias; `deep` hashes its data again, with a progress bar.

    A link that does not hold is part of the result and does not end the audit. Raises RegistryError for an unknown
    version and for a store that cannot be reached.
    """
    with tempfile.TemporaryDirectory() as scratch:
        subject = opened(root, name, Path(scratch))
        links = tuple(checked(name, check) for name, check in checks(subject, deep=deep, quiet=quiet).items())
    return ModelAudit(
        version=subject.version,
        aliases=tuple(sorted(alias for alias, version in subject.aliases.items() if version == subject.version)),
        run_id=subject.run_id,
        data_version=subject.tags.get("kshot.data_version", ""),
        at=datetime.now(UTC),
        deep=deep,
        links=links,
    )


def checks(subject: Subject, *, deep: bool = False, quiet: bool = True) -> dict[str, Callable[[], str]]:
    """Each link's name and its check, a function that `link.checked` can run."""
    return {
        "model": lambda: origin.model(subject),
        "run": lambda: origin.run(subject),
        "record": lambda: served.record(subject),
        "weights": lambda: origin.weights(subject),
        "served": lambda: served.served(subject),
        "data": lambda: _data(subject, deep, quiet),
        "params": lambda: origin.params(subject),
        "code": lambda: code.code(subject),
        "environment": lambda: origin.environment(subject),
        "episodes": lambda: origin.episodes(subject),
        "accuracies": lambda: results.accuracies(subject),
        "decision": lambda: decision.decision(subject),
        "tags": lambda: tags.tags(subject),
        "history": lambda: decision.history(subject),
        "anchor": lambda: anchor.anchor(subject, deep=deep),
    }


def _data(subject: Subject, deep: bool, quiet: bool) -> str:
    if not deep:
        return origin.data(subject, None)
    with bar(int(subject.input(layout.RAW.as_posix()).get("size", 0)), quiet) as advance:
        return origin.data(subject, advance)
