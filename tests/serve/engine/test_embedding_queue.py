import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from kshot.methods.method import Method
from kshot.nets.embedding import Embedding, embed
from kshot.nets.embedding_settings import settings_of
from kshot.serve.engine.embedding_queue import EmbeddingQueue
from kshot.serve.messages.refusals import Refused

SIZE = 16


@pytest.fixture(scope="module")
def method() -> Method:
    torch.manual_seed(0)
    ingest = {"size": SIZE, "channels": 1, "invert": True}
    settings = {"backbone": "conv4", "head_dim": None, "l2_normalize": False, "batch_norm": "eval", "ingest": ingest}
    return Method(Embedding(settings_of(settings)), 2, 1).eval()


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, SIZE, SIZE, 1), dtype=np.uint8)


def test_each_request_gets_the_embeddings_of_its_own_images(method: Method) -> None:
    queue = EmbeddingQueue(4, 20)
    with ThreadPoolExecutor(8) as pool:
        counts = [1, 2, 3, 9, 1, 4, 1, 2]
        for count, found in zip(
            counts, pool.map(lambda count: queue.embed(method, images(count)), counts), strict=True
        ):
            expected = embed(method, images(count), np.arange(count)).numpy()
            assert found == pytest.approx(expected, abs=1e-4)
    queue.close()


class Watched(Method):
    """Notes the thread of each forward pass, and fails if two run at once."""

    threads: list[str]
    running = False
    free: threading.Event  # a pass waits for it

    def embed(self, pixels: torch.Tensor) -> torch.Tensor:
        assert not self.running
        self.running = True
        self.threads.append(threading.current_thread().name)
        assert self.free.wait(30)
        found = super().embed(pixels)
        self.running = False
        return found


@pytest.fixture
def watched(method: Method) -> Watched:
    made = Watched(method.embedding, 2, 1).eval()
    made.threads, made.free = [], threading.Event()
    made.free.set()
    return made


def until(fact: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not fact():
        assert time.monotonic() < ends
        time.sleep(0.001)


def test_images_of_requests_that_wait_are_embedded_in_one_pass(watched: Watched) -> None:
    queue = EmbeddingQueue(8, 10_000)
    watched.free.clear()
    with ThreadPoolExecutor(3) as pool, queue.decoding():
        first = pool.submit(queue.embed, watched, images(1))
        until(lambda: watched.running)
        second = pool.submit(queue.embed, watched, images(2))
        until(lambda: queue.waiting == 2)
        watched.free.set()
        assert (len(first.result(10)), queue.batches) == (1, 1)
        third = pool.submit(queue.embed, watched, images(6))  # the batch is full
        assert (len(second.result(10)), len(third.result(10)), queue.batches) == (2, 6, 2)
    queue.close()


def test_a_request_that_is_alone_does_not_wait(method: Method) -> None:
    queue = EmbeddingQueue(8, 3_600_000)
    assert len(queue.embed(method, images(1))) == 1
    queue.close()


def test_requests_of_many_threads_are_embedded_in_one_thread(watched: Watched) -> None:
    queue = EmbeddingQueue(8, 0)
    queue.embed(watched, images(2))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda turn: queue.embed(watched, images(1), background=turn == 1), range(8)))
    assert set(watched.threads) == {"kshot-embedding"}
    queue.close()


def test_one_forward_pass_runs_at_a_time_whichever_thread_it_is_in(watched: Watched) -> None:
    queue = EmbeddingQueue(4, 0)

    def embedded(turn: int) -> object:
        if turn % 3 == 0 and (found := queue.embed_at_once(watched, images(1))) is not None:
            return found
        return queue.embed(watched, images(1), background=turn % 5 == 0)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(embedded, range(200)))
    assert len(found) == 200 and queue.batches == len(watched.threads) <= 200
    queue.close()


def test_an_error_reaches_its_request_and_the_queue_goes_on(method: Method) -> None:
    queue = EmbeddingQueue(8, 0)
    for background in (False, True):
        with pytest.raises(RuntimeError):
            queue.embed(method, np.zeros((1, SIZE, SIZE, 7), dtype=np.uint8), background=background)
    assert len(queue.embed(method, images(1))) == 1
    queue.close()


def test_a_closed_queue_has_finished_what_waited_and_takes_no_more(method: Method) -> None:
    queue = EmbeddingQueue(1, 0)
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(queue.embed, method, images(20))
        while not queue.waiting and not found.done():
            threading.Event().wait(0.001)
        queue.close()
        assert len(found.result(10)) == 20
    with pytest.raises(Refused, match="stopping"):
        queue.embed(method, images(1))


def test_a_gallery_in_the_background_is_embedded_while_requests_come(method: Method) -> None:
    queue = EmbeddingQueue(8, 0)
    with ThreadPoolExecutor(2) as pool:
        background = pool.submit(queue.embed, method, images(32), background=True)
        while not background.done():
            queue.embed(method, images(1))
        assert len(background.result()) == 32
    queue.close()
