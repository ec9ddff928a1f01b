"""`kshot audit --model`: the chain from a version back to its data and forth to its alias, every link verified."""

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kshot.lifecycle import layout
from kshot.lifecycle.audit import code, decision, origin, results
from kshot.lifecycle.audit.content import bar
from kshot.lifecycle.audit.link import Link, checked
from kshot.lifecycle.audit.subject import Subject, opened


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
    """Verify every link of the version of that number or alias; `deep` hashes its data again, with a progress bar.

    A link that does not hold is in the result and ends nothing. Raises RegistryError for an unknown version and for a
    store that cannot be reached.
    """
    with tempfile.TemporaryDirectory() as scratch:
        subject = opened(root, name, Path(scratch))
        links = (
            checked("model", lambda: origin.model(subject)),
            checked("run", lambda: origin.run(subject)),
            checked("weights", lambda: origin.weights(subject)),
            checked("data", lambda: _data(subject, deep, quiet)),
            checked("params", lambda: origin.params(subject)),
            checked("code", lambda: code.code(subject)),
            checked("environment", lambda: origin.environment(subject)),
            checked("episodes", lambda: origin.episodes(subject)),
            checked("accuracies", lambda: results.accuracies(subject)),
            checked("decision", lambda: decision.decision(subject)),
            checked("history", lambda: decision.history(subject)),
        )
    return ModelAudit(
        version=subject.version,
        aliases=tuple(sorted(alias for alias, version in subject.aliases.items() if version == subject.version)),
        run_id=subject.run_id,
        data_version=subject.tags.get("kshot.data_version", ""),
        at=datetime.now(UTC),
        deep=deep,
        links=links,
    )


def _data(subject: Subject, deep: bool, quiet: bool) -> str:
    if not deep:
        return origin.data(subject, None)
    with bar(int(subject.input(layout.RAW.as_posix()).get("size", 0)), quiet) as advance:
        return origin.data(subject, advance)
