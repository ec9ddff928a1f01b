"""A gallery store with a request log, and predictions to put into it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kshot.serve.messages.recognise_messages import Result
from kshot.serve.request_log import RecognisedRequest, RequestLog, open_log
from kshot.serve.store import galleries
from kshot.serve.store.gallery_store import GalleryStore, open_store
from tests.lifecycle.raw_project import image


@dataclass(frozen=True)
class Settings:
    log: Literal["off", "all", "unknown", "sample"] = "all"
    log_share: float = 1.0
    log_images: int = 1000
    log_days: float = 90.0
    images: str | None = None


def opened(root: Path, **settings: object) -> tuple[GalleryStore, RequestLog]:
    """A new store with the gallery `birds`, and its log."""
    store = open_store(root)
    galleries.create(store, "birds")
    return store, open_log(store, Settings(**settings))  # type: ignore[arg-type]


def result(label: str, probability: float | None = 0.9, second: float = 0.1, unknown: bool | None = False) -> Result:
    """A prediction with one other class."""
    next_classes = [{"class": "other", "probability": second}]
    return Result.model_validate(
        {"label": label, "probability": probability, "distance": 1.0, "unknown": unknown, "threshold": 2.0}
        | {"nearest": [], "next": next_classes}
    )


def recognised(request: str, *results: Result, gallery: str = "birds") -> RecognisedRequest:
    """A request whose images differ from those of every other request."""
    images = [image(f"{request}/{place}") for place in range(len(results))]
    return RecognisedRequest(gallery, request, "3", 7, results, images)


def put(log: RequestLog, *requests: RecognisedRequest) -> None:
    """Record requests, and wait until they are written."""
    for one in requests:
        log.offer(one)
    log.stop()
