"""Shows how often two versions gave the same image different labels, as counted by the shadow of `kshot serve`."""

import contextlib
import os
from pathlib import Path

from kshot.errors import KshotError
from kshot.serve.actions.compared_galleries import may_have_galleries


def disagreement_lines(root: Path, old: str, new: str) -> list[str]:
    """One line for each of the two that was served while the other was its shadow; [] if neither was.

    Without the extra `serve`, or while the store cannot be opened, one line says so.
    """
    if not may_have_galleries(root):
        return []
    try:
        from kshot.serve.settings import settings_from
        from kshot.serve.store import disagreements
        from kshot.serve.store.gallery_store import open_store

        settings = settings_from(os.environ)
        with (
            contextlib.closing(open_store(root, settings.database, settings.images)) as store,
            store.database.reading() as connection,
        ):
            found = disagreements.listed(connection)
    except (KshotError, ImportError, OSError) as error:
        return [f"! how often the shadow disagreed is not known: {error}"]
    return [
        f"`kshot serve` had version {one.shadow} recognise the same {one.images:,} images as version {one.version}: "
        f"{one.differ:,} got another label ({100 * one.differ / one.images:.1f} %)"
        for one in found
        if {one.version, one.shadow} == {old, new} and one.images
    ]
