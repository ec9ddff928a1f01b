"""Embeds the images of concurrent requests together: one forward pass at a time, for all that wait.

All passes run in one thread, except those of small networks in the event loop's (`loop_batch`). Each thread that runs
them has threads of OpenMP and a heap for activations of its own: with 4 clients, 200 MiB more of an EfficientNet-Lite0.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from kshot.methods.method import Method
from kshot.nets.embedding import embed_pixels
from kshot.serve.messages.refusals import Refused

Points = NDArray[np.float32]
FAIR = 4  # batches of requests in a row, while images of a gallery wait that is embedded in the background
BACKGROUND = 8  # images of the background at once: so long a request waits


@dataclass(eq=False)
class _Job:
    method: Method
    pixels: NDArray[np.uint8]
    found: "Future[Points]" = field(default_factory=Future)


class EmbeddingQueue:
    """Runs forward passes one after another, for any number of requests and models.

    batch_images: embedded at once; wait_ms: how long a batch that has waited for another one also waits for images that
    are being decoded. A request that finds the queue empty never waits.
    """

    def __init__(self, batch_images: int, wait_ms: float) -> None:
        self.batch_images, self.wait_s = batch_images, wait_ms / 1000
        self.batches = 0  # forward passes so far
        self.threads = torch.get_num_threads()  # of a forward pass
        self._urgent: deque[_Job] = deque()
        self._background: deque[_Job] = deque()
        self._decoding = 0
        self._in_a_row = 0
        self._running = False  # whether a forward pass is under way, in either thread
        self._closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="kshot-embedding", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """The number of images that wait."""
        with self._changed:
            return sum(len(job.pixels) for job in (*self._urgent, *self._background))

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Announce images: a batch waits for them a little."""
        with self._changed:
            self._decoding += 1
        try:
            yield
        finally:
            with self._changed:
                self._decoding -= 1
                if self._urgent:
                    self._changed.notify_all()

    def embed(self, method: Method, pixels: NDArray[np.uint8], *, background: bool = False) -> Points:
        """Embed uint8 (N, size, size, channels): float32 (N, D). Raises what the forward pass raises."""
        size = BACKGROUND if background else self.batch_images
        jobs = [_Job(method, pixels[start : start + size]) for start in range(0, len(pixels), size)]
        with self._changed:
            self._require_open()
            (self._background if background else self._urgent).extend(jobs)
            self._changed.notify_all()
        return np.concatenate([job.found.result() for job in jobs])

    def embed_at_once(self, method: Method, pixels: NDArray[np.uint8]) -> Points | None:
        """As `embed`, in this thread, for a small network; None, at once, if a forward pass is under way."""
        with self._changed:
            self._require_open()
            if self._running or self._urgent or self._background or len(pixels) > self.batch_images:
                return None
            self._running = True
        try:
            return self._pass(method, pixels, 1)
        finally:
            self._end()

    def close(self) -> None:
        """Finish the waiting requests and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _end(self) -> None:
        with self._changed:
            self._running = False
            if self._urgent or self._background or self._closed:
                self._changed.notify_all()

    def _require_open(self) -> None:
        if self._closed:
            raise Refused(503, "stopping", "the service is stopping; ask again when it runs")

    def _pass(self, method: Method, pixels: NDArray[np.uint8], threads: int) -> Points:
        if torch.get_num_threads() != threads:  # the number is one of each thread, and of those that begin later
            torch.set_num_threads(threads)
        points: Points = embed_pixels(method, pixels).numpy()
        self.batches += 1
        return points

    def _run(self) -> None:
        while batch := self._next():
            try:
                points = self._pass(batch[0].method, np.concatenate([job.pixels for job in batch]), self.threads)
            except BaseException as error:  # the thread must outlive it: it is raised where the images came from
                for job in batch:
                    job.found.set_exception(error)
                continue
            finally:
                self._end()
            start = 0
            for job in batch:
                job.found.set_result(points[start : start + len(job.pixels)])
                start += len(job.pixels)

    def _next(self) -> list[_Job]:
        """Wait for jobs, and return those of one forward pass, begun; [] when the queue is closed and empty."""
        with self._changed:
            had_to_wait = self._is_due()
            self._changed.wait_for(self._is_due)
            if not self._urgent and not self._background:
                return []
            self._running = True
            if self._background and (not self._urgent or self._in_a_row >= FAIR):
                self._in_a_row = 0
                return [self._background.popleft()]
            until = time.monotonic() + self.wait_s * had_to_wait
            while self._decoding and self._images() < self.batch_images and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            self._in_a_row += 1
            batch = [self._urgent.popleft()]
            room = self.batch_images - len(batch[0].pixels)
            while self._urgent and self._urgent[0].method is batch[0].method and len(self._urgent[0].pixels) <= room:
                room -= len(self._urgent[0].pixels)
                batch.append(self._urgent.popleft())
            return batch

    def _is_due(self) -> bool:
        return not self._running and bool(self._urgent or self._background or self._closed)

    def _images(self) -> int:
        return sum(len(job.pixels) for job in self._urgent)
