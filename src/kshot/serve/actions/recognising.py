"""Recognises the images of a request: each is decoded and embedded once, by one model and for one revision."""

import numpy as np

from kshot.serve.engine.decoding import SentImage, prepare_images
from kshot.serve.engine.embedding_queue import Points
from kshot.serve.engine.follower import Snapshot
from kshot.serve.engine.gallery_state import GalleryState
from kshot.serve.engine.recognition import NearExample, Recognition, recognise, verify
from kshot.serve.engine.shadow import ShadowRequest
from kshot.serve.messages.names import normal
from kshot.serve.messages.recognise_messages import NearestExample, NextClass, RecogniseResponse, Result, VerifyResponse
from kshot.serve.messages.refusals import Refused, empty_gallery
from kshot.serve.request_log import RecognisedRequest
from kshot.serve.service import GalleryService


def recognise_images(
    service: GalleryService, gallery: str, images: list[SentImage], request: str, *, n_next: int, n_nearest: int
) -> RecogniseResponse:
    """The response to POST recognise. Raises Refused for images that cannot be used and a gallery that is empty."""
    snapshot = service.snapshot
    state = snapshot.states.get(normal(gallery))
    points = _embedded(service, snapshot, state, images)
    return recognition_response(service, snapshot, state, points, images, request, n_next=n_next, n_nearest=n_nearest)


def recognition_response(
    service: GalleryService,
    snapshot: Snapshot,
    state: GalleryState,
    points: Points,
    images: list[SentImage],
    request: str,
    *,
    n_next: int,
    n_nearest: int,
) -> RecogniseResponse:
    """The response for embedded images (`points`), which is also offered to the log and the shadow."""
    # The log needs the difference to the next class, whatever `n_next` is.
    found = recognise(snapshot.version, state, points, n_next=max(n_next, 1), n_nearest=n_nearest)
    results = [_result(one) for one in found]
    service.log.offer(
        RecognisedRequest(
            state.gallery.name,
            request,
            snapshot.version.version,
            state.gallery.revision,
            results,
            [image.content for image in images],
        )
    )
    labels = [one.label for one in results]
    service.shadow.offer(ShadowRequest(state.gallery.name, request, snapshot.version.version, images, labels))
    return RecogniseResponse(
        request=request,
        model_version=snapshot.version.version,
        revision=state.gallery.revision,
        calibrated=snapshot.version.calibrated,
        results=results if n_next else [one.model_copy(update={"next": []}) for one in results],
    )


def verify_image(
    service: GalleryService, gallery: str, class_name: str, image: SentImage, request: str, *, n_nearest: int
) -> VerifyResponse:
    """The response to POST verify. Raises Refused as `recognise_images`, and for an unknown class."""
    snapshot, class_name = service.snapshot, normal(class_name)
    state = snapshot.states.get(normal(gallery))
    points = _embedded(service, snapshot, state, [image])
    found = verify(snapshot.version, state, points, class_name, n_nearest=n_nearest)
    return VerifyResponse(
        request=request,
        model_version=snapshot.version.version,
        revision=state.gallery.revision,
        calibrated=snapshot.version.calibrated,
        class_name=class_name,
        same=found.same,
        best=found.best,
        unknown=found.unknown,
        probability=found.probability,
        distance=found.distance,
        threshold=found.threshold,
        nearest=[_near(near) for near in found.nearest],
    )


def check_count(service: GalleryService, count: int) -> None:
    """Raise Refused for more images than a request may hold, or none."""
    most = service.settings.images_per_request
    if count > most:
        raise Refused(413, "too_many_images", f"the request holds {count:,} images; needs at most {most}: send several")
    if not count:
        raise Refused(422, "no_image", "the request holds no image; needs at least one")


def _embedded(service: GalleryService, snapshot: Snapshot, state: GalleryState, images: list[SentImage]) -> Points:
    check_count(service, len(images))
    if not len(state.ids):
        raise empty_gallery(state.gallery.name)
    model = snapshot.version.model
    with service.queue.decoding():
        prepared = prepare_images(images, model.ingest, service.settings.image_pixels, service.pool)
    return service.queue.embed(model.method, np.stack([one.pixels for one in prepared]))


def _result(found: Recognition) -> Result:
    return Result(
        label=found.label,
        probability=found.probability,
        distance=found.distance,
        unknown=found.unknown,
        threshold=found.threshold,
        nearest=[_near(near) for near in found.nearest],
        next=[NextClass(class_name=name, probability=share) for name, share in found.classes[1:]],
    )


def _near(found: NearExample) -> NearestExample:
    return NearestExample(example=found.id, class_name=found.class_name, distance=found.distance)
