"""Figures for Prometheus, in a registry of the application's own."""

from contextlib import suppress

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from kshot.serve.messages.recognise_messages import RecogniseResponse
from kshot.serve.messages.refusals import Refused
from kshot.serve.service import GalleryService
from kshot.serve.store import disagreements

SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """Counters of one application; labels are routes, never addresses, so that their number is bounded."""

    def __init__(self) -> None:
        to = self.registry = CollectorRegistry()
        self.requests = Counter("kshot_requests", "Requests answered", ("route", "method", "status"), registry=to)
        self.seconds = Histogram("kshot_request_seconds", "Time of a request", ("route",), buckets=SECONDS, registry=to)
        self.images = Counter("kshot_recognised_images", "Images recognised, by result", ("result",), registry=to)
        self.queue = Gauge("kshot_queue_images", "Images that wait to be embedded", registry=to)
        self.batches = Gauge("kshot_forward_passes", "Forward passes since the start", registry=to)
        self.model = Gauge("kshot_model_info", "1 for the served version", ("name", "version", "alias"), registry=to)
        pair = ("version", "shadow")
        self.shadowed = Gauge("kshot_shadow_images", "Images that the shadow recognised, too", pair, registry=to)
        self.differ = Gauge("kshot_shadow_disagreements", "Those that it labelled otherwise", pair, registry=to)
        self.ready = Gauge("kshot_ready", "1 if nothing is missing, 0 if the service is degraded", registry=to)

    def count(self, response: RecogniseResponse) -> None:
        """Count the images of a response: known, unknown, or undecided without a threshold."""
        for result in response.results:
            kind = {None: "undecided", True: "unknown", False: "known"}[result.unknown]
            self.images.labels(kind).inc()

    def text(self, service: GalleryService) -> bytes:
        """The figures in Prometheus's text format."""
        version = service.snapshot.version
        self.model.clear()
        self.model.labels(version.name, version.version, version.alias).set(1)
        self.queue.set(service.queue.waiting)
        self.batches.set(service.queue.batches)
        self.ready.set(0 if service.notes() else 1)
        with suppress(Refused), service.store.database.reading() as connection:
            for one in disagreements.listed(connection):
                self.shadowed.labels(one.version, one.shadow).set(one.images)
                self.differ.labels(one.version, one.shadow).set(one.differ)
        return generate_latest(self.registry)
