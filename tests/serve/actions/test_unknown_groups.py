"""Unknown images that were logged, in groups for a person."""

from pathlib import Path

from kshot.serve.actions.unknown_groups import unknown_groups
from tests.serve.running import ask, refused, running, service_of, teach


def test_unknown_images_that_look_alike_are_one_group_until_they_are_labelled(
    project: Path, classes: dict[str, list[bytes]]
) -> None:
    names = list(classes)
    with running(project, log="unknown") as client:
        client.post("/v1/galleries", json={"name": "shop"})
        teach(client, "shop", names[0], classes[names[0]][:1])
        teach(client, "shop", names[1], classes[names[1]][:1])
        # So small that an image is near itself alone.
        assert client.patch("/v1/galleries/shop", json={"unknown_threshold": 1e-3}).status_code == 200
        often, once = classes[names[5]][0], classes[names[9]][0]
        ask(client, "shop", [often, once, often, classes[names[0]][0]])
        ask(client, "shop", [often])
        service = service_of(client)
        service.log.stop()
        items = {one["item"]: one for one in client.get("/v1/feedback").json()["items"]}
        assert len(items) == 4, "the taught image is known"
        found = client.get("/v1/galleries/shop/unknown").json()
        assert [len(group["items"]) for group in found["groups"]] == [3, 1] and found["radius"] == 1e-3
        shown = {client.get(f"/v1/feedback/{item}/image").content for item in found["groups"][0]["items"]}
        assert shown == {often}
        labels = [{"item": item, "class": "new"} for item in found["groups"][0]["items"]]
        assert client.post("/v1/feedback/labels", json={"labels": labels, "by": "Ada"}).status_code == 200
        assert [group.items for group in unknown_groups(service, "shop").groups] == [found["groups"][1]["items"]]
        client.post("/v1/galleries", json={"name": "empty"})
        refused(client.get("/v1/galleries/empty/unknown"), 409, "no_threshold")
        refused(client.get("/v1/galleries/nowhere/unknown"), 404, "unknown_gallery")
