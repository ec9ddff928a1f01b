"""Suspects: taught examples that their own gallery without them takes for another class."""

import numpy as np

from kshot.classifiers import prototype_head
from kshot.serve.engine.leave_one_out import leave_one_out
from kshot.serve.feedback_messages import Suspect, Suspects
from kshot.serve.names import normal
from kshot.serve.refusals import Refused
from kshot.serve.service import GalleryService


def suspects_of(service: GalleryService, gallery: str) -> Suspects:
    """The answer to GET suspects, the most certain first. Raises Refused for a method without a fixed embedding.

    An example that is the only one of its class is not tested. `probability` is that of `taken_for`, for the nearest
    prototype; None for other classifiers, which the distances to class means stand for.
    """
    snapshot = service.snapshot
    version, state = snapshot.version, snapshot.states.get(normal(gallery))
    if not version.has_space:
        method = version.model.answering.by
        text = f"{method} has no fixed embedding, so that examples cannot be compared without asking each"
        raise Refused(409, "cannot_answer", text)
    found: list[tuple[float, Suspect]] = []
    tested = 0
    for part in leave_one_out(state) if len(state.class_names) > 1 else []:
        tested += len(part.places)
        own = state.labels[part.places]
        for row in np.flatnonzero(part.predicted != own):
            place, label = int(part.places[row]), int(part.predicted[row])
            squared = part.squared[row]
            shares = np.exp(-(squared - squared.min()) / version.temperature(state))
            suspect = Suspect(
                example=int(state.ids[place]),
                class_name=state.class_names[int(own[row])],
                taken_for=state.class_names[label],
                probability=float(shares[label] / shares.sum()) if version.head is prototype_head else None,
            )
            found.append((float(squared[label] - squared[own[row]]), suspect))
    return Suspects(
        model_version=version.version,
        revision=state.gallery.revision,
        suspects=[suspect for _, suspect in sorted(found, key=lambda one: one[0])],
        tested=tested,
    )
