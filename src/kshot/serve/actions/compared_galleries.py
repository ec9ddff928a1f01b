"""The galleries of a project under two versions, for a decision: for a person before it, and for the gate."""

import os
from pathlib import Path

from kshot.errors import KshotError
from kshot.lifecycle.gate.gallery_evidence import GalleryEvidence


def may_have_galleries(root: Path) -> bool:
    """Whether a gallery store may exist; to open one would create it."""
    return bool(os.environ.get("KSHOT_SERVE_DATABASE")) or (root / ".kshot/serve/galleries.db").exists()


def compared_galleries(root: Path, before: str, after: str) -> list[GalleryEvidence]:
    """The effect of version `after` instead of `before` on each gallery; [] if there is no gallery store.

    Raises KshotError: if the store or a model cannot be opened, or the extra `serve` is not installed.
    """
    if not may_have_galleries(root):
        return []
    try:
        from kshot.serve.engine.gallery_change import gallery_changes
        from kshot.serve.settings import settings_from

        return gallery_changes(root, settings_from(os.environ), before, after)
    except ImportError as error:
        raise KshotError(
            f"the galleries cannot be compared without {error.name}: pip install 'kshot[pipeline,serve]'"
        ) from error
    except OSError as error:
        raise KshotError(f"the galleries cannot be compared: {error}; mend the store of `kshot serve`") from error
