"""Embedding in the event loop: requests that are ready together share a forward pass, and nobody is held up."""

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from kshot.methods.method import Method
from kshot.nets.embedding import Embedding, embed
from kshot.nets.embedding_settings import settings_of
from kshot.serve.engine.embedding_queue import EmbeddingQueue
from kshot.serve.engine.loop_batch import LoopBatch

SIZE = 16


class Watched(Method):
    """Notes the thread and the number of images of each forward pass."""

    passes: list[tuple[str, int]]
    free: threading.Event  # a pass waits for it

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        self.passes.append((threading.current_thread().name, len(pixels)))
        assert self.free.wait(30)
        return super().embed(pixels)


@pytest.fixture
def method() -> Watched:
    torch.manual_seed(0)
    ingest = {"size": SIZE, "channels": 1, "invert": True}
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval", "ingest": ingest}
    made = Watched(Embedding(settings_of(settings)), 2, 1).eval()
    made.passes, made.free = [], threading.Event()
    made.free.set()
    return made


@pytest.fixture
def queue() -> Iterator[EmbeddingQueue]:
    made = EmbeddingQueue(8, 0)
    yield made
    made.close()


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, SIZE, SIZE, 1), dtype=np.uint8)


def test_requests_that_are_ready_together_are_embedded_in_one_pass(method: Watched, queue: EmbeddingQueue) -> None:
    batch = LoopBatch(queue)

    async def requests() -> list[np.ndarray]:
        return list(await asyncio.gather(*(batch.embed(method, images(count)) for count in (1, 3, 2))))

    found = asyncio.run(requests())
    assert method.passes == [(threading.current_thread().name, 6)] and queue.batches == 1
    for count, points in zip((1, 3, 2), found, strict=True):
        assert points == pytest.approx(embed(method, images(count), np.arange(count)).numpy(), abs=1e-5)


def test_requests_that_come_a_turn_of_the_loop_later_share_the_pass(method: Watched, queue: EmbeddingQueue) -> None:
    batch = LoopBatch(queue)

    async def requests() -> None:
        first = asyncio.ensure_future(batch.embed(method, images(1)))
        await asyncio.sleep(0)
        await asyncio.gather(first, batch.embed(method, images(2)))

    asyncio.run(requests())
    assert [count for _, count in method.passes] == [3]


def test_a_pass_has_at_most_as_many_images_as_one_of_the_queue(method: Watched, queue: EmbeddingQueue) -> None:
    batch = LoopBatch(queue)

    async def requests() -> list[np.ndarray]:
        return list(await asyncio.gather(*(batch.embed(method, images(3)) for _ in range(5))))

    assert [len(points) for points in asyncio.run(requests())] == [3] * 5
    assert method.passes == [(threading.current_thread().name, count) for count in (6, 6, 3)]


def test_an_error_reaches_its_requests_and_the_next_one_is_answered(method: Watched, queue: EmbeddingQueue) -> None:
    batch = LoopBatch(queue)

    async def requests() -> None:
        with pytest.raises(RuntimeError):
            await batch.embed(method, np.zeros((1, SIZE, SIZE, 7), dtype=np.uint8))
        assert len(await batch.embed(method, images(2))) == 2

    asyncio.run(requests())


def test_a_cancelled_request_leaves_the_others_their_answers(method: Watched, queue: EmbeddingQueue) -> None:
    batch = LoopBatch(queue)

    async def requests() -> np.ndarray:
        gone, other = (asyncio.ensure_future(batch.embed(method, images(count))) for count in (1, 2))
        await asyncio.sleep(0)
        gone.cancel()
        return await other

    assert asyncio.run(requests()) == pytest.approx(embed(method, images(2), np.arange(2)).numpy(), abs=1e-5)


def test_the_event_loop_does_not_wait_for_a_pass_of_another_thread(method: Watched, queue: EmbeddingQueue) -> None:
    batch = LoopBatch(queue)
    method.free.clear()
    taught = threading.Thread(target=queue.embed, args=(method, images(4)))
    taught.start()

    async def request() -> int:
        while not method.passes:
            await asyncio.sleep(0.001)
        waiting = asyncio.ensure_future(batch.embed(method, images(1)))
        while not queue.waiting:  # the loop goes on meanwhile
            await asyncio.sleep(0.001)
        assert not waiting.done()
        method.free.set()
        return len(await waiting)

    assert asyncio.run(request()) == 1
    taught.join()
    assert [count for _, count in method.passes] == [4, 1]
    assert method.passes[1][0] != threading.current_thread().name


def test_a_pass_in_the_event_loop_takes_one_core_and_others_all(
    method: Watched, queue: EmbeddingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_num_threads()
    used: list[int] = []
    embedded = Method.embed
    monkeypatch.setattr(Method, "embed", lambda *given: used.append(torch.get_num_threads()) or embedded(*given))
    queue.threads = 2
    try:
        asyncio.run(LoopBatch(queue).embed(method, images(1)))
        queue.embed(method, images(1))
        queue.embed(method, images(1), background=True)
    finally:
        torch.set_num_threads(before)
    assert used == [1, 2, 2]
