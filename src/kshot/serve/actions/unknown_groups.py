"""Groups logged images of no known class, so that a person can label a whole group at once."""

import numpy as np

from kshot.serve.actions import logged_requests
from kshot.serve.engine.clusters import clusters
from kshot.serve.engine.decoding import SentImage, prepare_images
from kshot.serve.messages.feedback_messages import UnknownGroup, UnknownGroups
from kshot.serve.messages.names import normal
from kshot.serve.messages.refusals import Refused
from kshot.serve.service import GalleryService

MOST = 500  # images, the newest: their distances take 2 MiB, and more no person looks through at once


def unknown_groups(service: GalleryService, gallery: str) -> UnknownGroups:
    """The newest unknown images without a label, in groups within the gallery's threshold for unknown.

    That threshold is how far an image may be from a class it belongs to, so it is also how far images of one new class
    may be apart. Embeds them behind all requests. Raises Refused for an unknown gallery, and for a model or gallery
    without a threshold.
    """
    snapshot = service.snapshot
    state = snapshot.states.get(normal(gallery))
    radius = snapshot.version.threshold(state) if len(state.ids) else None
    if radius is None:
        raise Refused(409, "no_threshold", "nothing is unknown without a threshold; set one for the gallery")
    newest = logged_requests.items(service.log, gallery=normal(gallery), order="unknown", labelled=False, limit=MOST)
    items, images = [], []
    for one in newest.items:
        try:
            content = logged_requests.image(service.log, one.item) if one.unknown else None
        except Refused:  # deleted meanwhile
            content = None
        if content is not None:
            items.append(one.item)
            images.append(SentImage(content, f"item {one.item}"))
    groups: list[list[int]] = []
    if images:
        model = snapshot.version.model
        prepared = prepare_images(images, model.ingest, service.settings.image_pixels, service.pool)
        points = service.queue.embed(model.method, np.stack([one.pixels for one in prepared]), background=True)
        groups = clusters(points, radius)
    return UnknownGroups(
        model_version=snapshot.version.version,
        revision=state.gallery.revision,
        radius=radius,
        groups=[UnknownGroup(items=[items[place] for place in group]) for group in groups],
    )
