"""Forgets images: a new data version without them, the record of their erasure, their deletion, and a receipt.

The order makes a kill harmless: a note first; then the record, so that an audit never calls missing images a loss; then
the deletion, computed things before what they came from. Every step finds what is done already. A resumed command
looks again: a model that was registered meanwhile, or data that was added, gets a further line in the record.
"""

import dataclasses
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.data import data_versions, erasures, working_copy
from kshot.lifecycle.data.changes.without_images import remaining, without_images
from kshot.lifecycle.data.erasures import Erasure
from kshot.lifecycle.forget import intent, inventory, receipt, run_files
from kshot.lifecycle.forget.archive_members import ARCHIVE
from kshot.lifecycle.forget.holding import Holding, Place, Unreached
from kshot.lifecycle.forget.intent import Intent
from kshot.lifecycle.forget.inventory import Inventory
from kshot.lifecycle.forget.project_files import ProjectFiles
from kshot.lifecycle.forget.run_files import TrainedOn
from kshot.lifecycle.forget.selection import ForgetRequest
from kshot.lifecycle.history import erasure_event
from kshot.lifecycle.history.events import Event, Person, person


@dataclasses.dataclass(frozen=True)
class Forgetting:
    """The result. `version`: md5 of the new data version, '' if the current one had none of the images.

    incomplete  md5 of each data version that lacks one of the images since
    signer      the name that `allowed_signers` gives the key of the receipt's signature, '' if it names none
    """

    erasure: Erasure
    incomplete: tuple[str, ...]
    version: str
    deleted: tuple[Holding, ...]
    models: tuple[TrainedOn, ...]
    receipt: Path
    signed: bool = False
    signer: str = ""


def under_way(root: Path, request: ForgetRequest) -> Intent | None:
    """The forgetting that this same command began. Raises DataError if another one is not finished."""
    found = intent.read(root)
    if found is None or found.request == request:
        return found
    raise DataError(
        f"another forgetting is not finished ({found.erasure.at[:16]} UTC, by {found.erasure.by}: "
        f"{found.erasure.reason}); run that same command again first"
    )


def begin(root: Path, request: ForgetRequest, found: Inventory) -> Intent:
    """Write the note of the request. Raises DataError if too little data would be left, or data/raw holds changes."""
    if remaining(root, found.wanted.md5s) is not None:
        working_copy.refuse_unsaved(root)
    who = person(request.by)
    made = Erasure(
        key=secrets.token_hex(8),
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=str(who),
        reason=request.reason,
        images=tuple(sorted(found.wanted.md5s)),
        versions=tuple(sorted(found.wanted.versions)),
        manifests=run_files.new_manifests(root, found.wanted),
    )
    noted = Intent(request, made, who, found.wanted.images, found.holdings, unreached=tuple(found.unreached))
    intent.write(root, noted)
    return noted


def finish(root: Path, noted: Intent, others: Sequence[Place] = (), key: Path | None = None) -> Forgetting:
    """Carry out the noted request, also after an interruption, and write the receipt; `key` signs it.

    Raises DataError if a place did not answer: everything else is done then, the message names what is left, and the
    same command goes on.
    """
    made = without_images(root, noted.erasure.images)
    if made is not None:
        noted = dataclasses.replace(noted, version=made.md5)
        intent.write(root, noted)
    with inventory.of_images(root, noted.images, others) as found:
        holdings = tuple(dict.fromkeys((*noted.holdings, *(one for one in found.holdings if one.what != ARCHIVE))))
        noted = dataclasses.replace(noted, holdings=holdings, later=(*noted.later, *_later(root, noted, found)))
        intent.write(root, noted)
        events = [_record(root, one, noted.who) for one in noted.erasures]
        left = dict(found.unreached)
        for place in found.places:
            if place.name not in left:
                # A path may be another file by now; hashes and ids are what they were.
                due = found.holdings if isinstance(place, ProjectFiles) else holdings
                try:
                    place.delete([one for one in due if one.place == place.name])
                except Unreached as error:
                    left[place.name] = str(error)
    with inventory.of_images(root, noted.images, others) as after:
        still = [one for one in after.holdings if one.place not in left]
        left |= {one.place: f"{one.place} still holds {one.what} {one.name}" for one in still}
    unasked = {*noted.unreached, *(one.place for one in noted.holdings)} - {place.name for place in found.places}
    left |= {name: f"{name} was not tried this time" for name in unasked}
    if left:
        intent.write(root, dataclasses.replace(noted, unreached=tuple(left)))
        raise DataError(
            f"not everything is forgotten: {'; '.join(left.values())}. The rest is done and recorded; mend that, then "
            "run the same command again to go on"
        )
    version = data_versions.current(root)
    done = Forgetting(
        erasure=noted.erasure,
        incomplete=noted.incomplete,
        version=noted.version if version is not None else "",
        deleted=noted.holdings,
        models=found.models,
        receipt=receipt.path_of(root, noted.erasure),
    )
    receipt.write(root, done.receipt, noted, found.models, events)
    if key is not None:
        done = dataclasses.replace(done, signed=True, signer=receipt.sign(root, done.receipt, key))
    intent.end(root)
    return done


def _later(root: Path, noted: Intent, found: Inventory) -> tuple[Erasure, ...]:
    """An erasure of the versions and manifests that were made after the note and hold the images; () without any."""
    versions = found.wanted.versions - {md5 for one in noted.erasures for md5 in one.versions}
    named = {manifest for one in noted.erasures for manifest in one.manifests}
    manifests = {
        before: after for before, after in run_files.new_manifests(root, found.wanted).items() if before not in named
    }
    if not versions and not manifests:
        return ()
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return (
        dataclasses.replace(
            noted.erasure, key=secrets.token_hex(8), at=at, versions=tuple(sorted(versions)), manifests=manifests
        ),
    )


def _record(root: Path, erasure: Erasure, who: Person) -> Event | None:
    """Note the erasure and seal its line; both once. None if no model was ever registered here."""
    erasures.note(root, erasure)
    return erasure_event.seal(root, erasure, who) if run_files.has_store(root) else None
