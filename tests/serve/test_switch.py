"""Promotion and rollback while clients ask and teach: no failed request, and no answer from two models at once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from tests.serve import served_project
from tests.serve.running import ask, running, service_of, teach


def settle(client: TestClient, version: str) -> None:
    """Wait until the service serves this version."""
    until = time.monotonic() + 60
    while client.get("/v1/service").json()["model"]["version"] != version:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_promotion_and_rollback_under_load(project: Path, classes: dict[str, list[bytes]]) -> None:
    few = list(classes.items())[:4]
    asked = [images[5] for _, images in few]
    with running(project, poll_seconds=0.05) as client:
        client.post("/v1/galleries", json={"name": "shop"})
        for name, images in few:
            teach(client, "shop", name, images[:2])
        expected = {"1": ask(client, "shop", asked).json()["results"]}
        answers: list[dict[str, Any]] = []
        stop = threading.Event()

        def asking() -> None:
            while not stop.is_set():
                answer = ask(client, "shop", asked)
                assert answer.status_code == 200, answer.text
                answers.append(answer.json())

        def teaching() -> int:
            """Teach and delete an image of another gallery all the time."""
            rounds = 0
            while not stop.is_set():
                (one,) = teach(client, "other", "x", [few[rounds % 4][1][0]])["examples"]
                assert client.delete(f"/v1/galleries/other/examples/{one['id']}").status_code == 200
                rounds += 1
            return rounds

        client.post("/v1/galleries", json={"name": "other"})
        with ThreadPoolExecutor(3) as pool:
            threads = [pool.submit(asking), pool.submit(asking), pool.submit(teaching)]
            for version in ("2", "1", "2"):
                served_project.name_champion(project, version)
                settle(client, version)
                time.sleep(0.1)
            stop.set()
            for thread in threads:
                thread.result()
        expected["2"] = ask(client, "shop", asked).json()["results"]
        assert {answer["model_version"] for answer in answers} == {"1", "2"}
        for answer in answers:
            for found, alone in zip(answer["results"], expected[answer["model_version"]], strict=True):
                # The two models' distances differ far more than two runs of one model do.
                assert abs(found["distance"] - alone["distance"]) < 1e-3 * alone["distance"]
                assert [near["example"] for near in found["nearest"]] == [near["example"] for near in alone["nearest"]]
        assert all(
            abs(one["distance"] - two["distance"]) > 1e-2 * one["distance"]
            for one, two in zip(expected["1"], expected["2"], strict=True)
        )


def test_a_rollback_computes_nothing_and_old_embeddings_are_forgotten(
    project: Path, classes: dict[str, list[bytes]], letters: Path
) -> None:
    with running(project, poll_seconds=0.05) as client:
        client.post("/v1/galleries", json={"name": "shop"})
        for name, images in list(classes.items())[:3]:
            teach(client, "shop", name, images[:2])
        served_project.name_champion(project, "2")
        settle(client, "2")
        service = service_of(client)
        passes = service.queue.batches
        served_project.name_champion(project, "1")
        settle(client, "1")
        assert service.queue.batches == passes
        with service.store.database.reading() as connection:
            models = connection.exec_driver_sql("select distinct model from embeddings").fetchall()
        assert len(models) == 2


def test_two_processes_on_one_store_see_each_other_s_changes(project: Path, classes: dict[str, list[bytes]]) -> None:
    (one, images), (two, more), *_ = classes.items()
    with running(project) as first, running(project) as second:
        first.post("/v1/galleries", json={"name": "shop"})
        teach(first, "shop", one, images[:1])
        assert ask(second, "shop", images[:1]).json()["results"][0]["label"] == one
        taught = teach(second, "shop", two, more[:1])
        answer = ask(first, "shop", more[:1]).json()
        assert (answer["results"][0]["label"], answer["revision"]) == (two, taught["revision"])
        second.delete(f"/v1/galleries/shop/examples/{taught['examples'][0]['id']}")
        assert ask(first, "shop", more[:1]).json()["results"][0]["label"] == one
