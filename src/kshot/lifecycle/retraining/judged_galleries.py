"""When a decision compares the galleries of `kshot serve`, and whether it waits because of them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from kshot.errors import RegistryError
from kshot.lifecycle.gate import decision_record
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence
from kshot.lifecycle.gate.judgements import last_judgement, record_of
from kshot.lifecycle.history import history
from kshot.lifecycle.registry.model_versions import Registered
from kshot.params.sections.gate import Gate

# The galleries under two versions, by their numbers. The ring that knows the service passes it in. Raises KshotError.
CompareGalleries = Callable[[str, str], Sequence[GalleryEvidence]]


def galleries_of(
    version: Registered, champion: Registered | None, rules: Gate, compare: CompareGalleries | None
) -> tuple[GalleryEvidence, ...] | None:
    """The evidence about galleries; None if the rules do not ask for it. Raises KshotError if it cannot be had."""
    if rules.gallery_margin is None:
        return None
    if champion is None or champion.version == version.version:
        return ()
    if compare is None:
        raise RegistryError(
            "gate.gallery_margin is set, and this program does not compare galleries; `kshot retrain` does"
        )
    return tuple(compare(champion.version, version.version))


def waits_for_galleries(root: Path, version: Registered, rules: Gate) -> bool:
    """Whether the version waits for a person because of a gallery, and the rules still ask for that."""
    waiting = version.tags.get("kshot.decision") == "waiting"
    if not waiting or rules.gallery_margin is None or rules.gallery_loss != "wait":
        return False
    record = record_of(root, last_judgement(history.history(root), version.version))
    return bool(record) and decision_record.from_json(record)[2].waits
