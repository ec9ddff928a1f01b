import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from kshot.methods.method import Method
from kshot.nets.embedding import Embedding, embed
from kshot.nets.embedding_settings import settings_of
from kshot.serve.engine.embedding_queue import EmbeddingQueue
from kshot.serve.refusals import Refused

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


def test_images_of_requests_that_wait_are_embedded_in_one_pass(method: Method) -> None:
    queue = EmbeddingQueue(8, 10_000)
    with ThreadPoolExecutor(3) as pool, queue.decoding():
        first = pool.submit(queue.embed, method, images(1))
        second = pool.submit(queue.embed, method, images(2))
        while queue.waiting < 3:
            threading.Event().wait(0.001)
        assert queue.batches == 0
        pool.submit(queue.embed, method, images(5))  # the batch is full
        assert (len(first.result(10)), len(second.result(10)), queue.batches) == (1, 2, 1)
    queue.close()


def test_a_request_that_is_alone_does_not_wait(method: Method) -> None:
    queue = EmbeddingQueue(8, 3_600_000)
    assert len(queue.embed(method, images(1))) == 1
    queue.close()


def test_an_error_reaches_its_request_and_the_queue_goes_on(method: Method) -> None:
    queue = EmbeddingQueue(8, 0)
    with pytest.raises(RuntimeError):
        queue.embed(method, np.zeros((1, SIZE, SIZE, 7), dtype=np.uint8))
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
