"""Embeds the images of requests that the event loop reads together, by one forward pass in the loop's own thread.

For small networks alone: to hand an image to another thread and back takes as long as their forward pass, and one pass
of four images takes half the time of four passes.
"""

import asyncio
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool

from kshot.methods.method import Method
from kshot.serve.engine.embedding_queue import EmbeddingQueue, Points

_Found = asyncio.Future[Points | None]
_Job = tuple[NDArray[np.uint8], _Found]


class LoopBatch:
    """Collects images until the event loop has run every request that it has read, and embeds them together."""

    def __init__(self, queue: EmbeddingQueue) -> None:
        self.queue = queue
        self._waiting: dict[Method, list[_Job]] = {}

    async def embed(self, method: Method, pixels: NDArray[np.uint8]) -> Points:
        """Embed uint8 (N, size, size, channels) of one request: float32 (N, D). Raises what the forward pass raises."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._embed_when_all_are_here, loop, 0)
        found: _Found = loop.create_future()
        self._waiting.setdefault(method, []).append((pixels, found))
        points = await found
        # None: another thread's forward pass is under way, which the event loop does not wait for.
        return await run_in_threadpool(self.queue.embed, method, pixels) if points is None else points

    def _embed_when_all_are_here(self, loop: asyncio.AbstractEventLoop, before: int) -> None:
        """Embed once a turn of the loop has brought no more requests: those that came meanwhile share the pass."""
        count = sum(len(pixels) for jobs in self._waiting.values() for pixels, _ in jobs)
        if before < count < self.queue.batch_images:
            loop.call_soon(self._embed_when_all_are_here, loop, count)
        else:
            self._embed_waiting()

    def _embed_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for method, jobs in waiting.items():
            for part in _parts(jobs, self.queue.batch_images):
                self._embed(method, part)

    def _embed(self, method: Method, jobs: list[_Job]) -> None:
        try:
            points = self.queue.embed_at_once(method, np.concatenate([pixels for pixels, _ in jobs]))
        except Exception as error:  # it is raised where the images came from
            for _, found in jobs:
                if not found.done():
                    found.set_exception(error)
            return
        start = 0
        for pixels, found in jobs:
            end = start + len(pixels)
            if not found.done():  # done: its request was cancelled
                found.set_result(None if points is None else points[start:end])
            start = end


def _parts(jobs: list[_Job], most: int) -> Iterator[list[_Job]]:
    """The jobs in order, at most so many images together, or one job that has more."""
    part: list[_Job] = []
    room = most
    for job in jobs:
        if part and len(job[0]) > room:
            yield part
            part, room = [], most
        part.append(job)
        room -= len(job[0])
    if part:
        yield part
