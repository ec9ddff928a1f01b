"""Recognises a few small images in the event loop, if a small network takes less time than a thread switch."""

import numpy as np

from kshot.serve.actions.recognising import recognition_response
from kshot.serve.engine.decoding import SentImage, prepare_image
from kshot.serve.messages.names import normal
from kshot.serve.messages.recognise_messages import RecogniseResponse
from kshot.serve.messages.refusals import Refused
from kshot.serve.service import GalleryService

# Of a request that is handled here: each takes less than a millisecond.
MOST_IMAGES = 4
MOST_BYTES = 64 * 1024
MOST_PIXELS = 256 * 256  # of an image
MOST_NUMBERS = 2**20  # of all the gallery's embeddings


async def recognise_promptly(
    service: GalleryService, gallery: str, images: list[SentImage], request: str, *, n_next: int, n_nearest: int
) -> RecogniseResponse | None:
    """As `recognise_images`, in the event loop; None, before anything is done, if that could hold up other requests.

    To change threads takes as long as a small network does. What is refused is left to `recognise_images`, too.
    """
    snapshot = service.snapshot
    if not snapshot.version.quick or not 0 < len(images) <= MOST_IMAGES:
        return None
    if sum(len(image.content) for image in images) > MOST_BYTES:
        return None
    state = snapshot.states.in_memory(normal(gallery))
    if state is None or not 0 < state.points.size <= MOST_NUMBERS or not snapshot.version.searches:
        return None
    model, most = snapshot.version.model, min(MOST_PIXELS, service.settings.image_pixels)
    try:
        pixels = np.stack([prepare_image(one, model.ingest, most).pixels for one in images])
    except Refused:
        return None
    points = await service.loop_batch.embed(model.method, pixels)
    return recognition_response(service, snapshot, state, points, images, request, n_next=n_next, n_nearest=n_nearest)
