"""`kshot.Client`: the gallery service from Python. Every call is one of /v1's, with its messages as values."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Self

from kshot.errors import ServiceError
from kshot.serve.connection import Connection, body, path
from kshot.serve.messages.feedback_messages import (
    Feedback,
    FeedbackItem,
    GivenLabels,
    LabelResponse,
    Suspects,
    UnknownGroups,
)
from kshot.serve.messages.gallery_messages import (
    ChangeResponse,
    ClassChange,
    Example,
    ExampleResponse,
    Examples,
    Galleries,
    Gallery,
    GalleryChange,
    ImportResponse,
    Limits,
    NewGallery,
    Service,
    TeachResponse,
)
from kshot.serve.messages.recognise_messages import RecogniseResponse, VerifyResponse
from kshot.serve.sent_images import Image, named_images, portions

PAGE = 500  # examples or logged requests of one page


class Client(AbstractContextManager["Client"]):
    """A gallery service.

    at       its address
    key      an API key; default: the environment variable KSHOT_KEY; none is needed on the service's own machine
             unless it asks for one
    timeout  seconds to wait for a response

    Every call raises ServiceError with the service's own line, its status and its code.

    >>> from kshot import Client
    >>> with Client("http://127.0.0.1:8000") as client:          # doctest: +SKIP
    ...     client.create("birds")
    ...     client.teach("birds", "robin", ["robin/1.jpg", "robin/2.jpg"])
    ...     client.teach("birds", "wren", ["wren/1.jpg"])
    ...     client.recognise("birds", ["garden.jpg"]).results[0].label
    """

    def __init__(self, at: str = "http://127.0.0.1:8000", key: str | None = None, timeout: float = 120.0) -> None:
        self._to = Connection(at, key, timeout)
        self._limits: Limits | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._to.close()

    # The service and its galleries

    def service(self) -> Service:
        """The project, the served model, and the limits."""
        return self._to.request(Service, "GET", path("service"))

    def galleries(self) -> list[Gallery]:
        """Every gallery with its classes."""
        return self._to.request(Galleries, "GET", path("galleries")).galleries

    def gallery(self, gallery: str) -> Gallery:
        """One gallery."""
        return self._to.request(Gallery, "GET", path("galleries", gallery))

    def create(self, gallery: str) -> Gallery:
        """Make an empty gallery."""
        return self._to.request(Gallery, "POST", path("galleries"), body=body(NewGallery, {"name": gallery}))

    def rename(self, gallery: str, name: str) -> Gallery:
        """Rename a gallery."""
        return self._to.request(Gallery, "PATCH", path("galleries", gallery), body=body(GalleryChange, {"name": name}))

    def set_unknown_threshold(self, gallery: str, threshold: float | None) -> Gallery:
        """Set the distance beyond which an image is unknown in this gallery; None: the model's own."""
        change = body(GalleryChange, {"unknown_threshold": threshold})
        return self._to.request(Gallery, "PATCH", path("galleries", gallery), body=change)

    def delete(self, gallery: str) -> None:
        """Delete a gallery with all its examples."""
        self._to.send("DELETE", path("galleries", gallery))

    # Classes and examples

    def teach(self, gallery: str, class_name: str, images: Image | Sequence[Image]) -> TeachResponse:
        """Add images to a class, which need not exist before.

        More images than one request may hold go in several; what was acknowledged stays if a later one is refused.
        """
        place = path("galleries", gallery, "examples")
        taught: list[TeachResponse] = []
        files = named_images(images)
        if len(files) > 1 and self._limits is None:
            self._limits = self.service().limits
        for portion in portions(files, self._limits):
            form = [("images", file) for file in portion]
            taught.append(self._to.request(TeachResponse, "POST", place, form={"class": class_name}, files=form))
        return TeachResponse(
            model_version=taught[-1].model_version,
            revision=taught[-1].revision,
            examples=[example for one in taught for example in one.examples],
            already=[example for one in taught for example in one.already],
            notes=[note for one in taught for note in one.notes],
        )

    def examples(self, gallery: str, class_name: str | None = None) -> Iterator[Example]:
        """The examples of a gallery or of one class, by id."""
        query: dict[str, object] = {"limit": PAGE} if class_name is None else {"limit": PAGE, "class": class_name}
        while True:
            page = self._to.request(Examples, "GET", path("galleries", gallery, "examples"), query=query)
            yield from page.examples
            if page.next is None:
                return
            query["after"] = page.next

    def example(self, gallery: str, example: int) -> ExampleResponse:
        """One example, without its image."""
        return self._to.request(ExampleResponse, "GET", path("galleries", gallery, "examples", example))

    def example_image(self, gallery: str, example: int) -> bytes:
        """The image file of an example, as it was taught."""
        return self._to.send("GET", path("galleries", gallery, "examples", example, "image"))

    def forget(self, gallery: str, example: int) -> ChangeResponse:
        """Delete an example."""
        return self._to.request(ChangeResponse, "DELETE", path("galleries", gallery, "examples", example))

    def rename_class(self, gallery: str, class_name: str, name: str, *, merge: bool = False) -> ChangeResponse:
        """Rename a class; with `merge`, `name` may be an existing class, which takes the examples over."""
        change = body(ClassChange, {"name": name, "merge": True} if merge else {"name": name})
        return self._to.request(ChangeResponse, "PATCH", path("galleries", gallery, "classes", class_name), body=change)

    def delete_class(self, gallery: str, class_name: str) -> ChangeResponse:
        """Delete a class with its examples."""
        return self._to.request(ChangeResponse, "DELETE", path("galleries", gallery, "classes", class_name))

    def import_zip(self, gallery: str, archive: Image, *, whole_names: bool = False) -> ImportResponse:
        """Import a zip of class folders, or one that `export` wrote; what was left out is listed by reason.

        It embeds every image, and may take longer than `timeout`.
        whole_names: folders around all others are a part of the class names.
        """
        query = {"whole_names": True} if whole_names else None
        place = path("galleries", gallery, "import")
        with BytesIO(archive) if isinstance(archive, bytes) else Path(archive).open("rb") as content:
            return self._to.request(ImportResponse, "POST", place, query=query, content=content, patient=True)

    def export(self, gallery: str) -> bytes:
        """A zip of the gallery: class folders and manifest.csv."""
        return self._to.send("GET", path("galleries", gallery, "export"))

    # Recognition

    def recognise(
        self, gallery: str, images: Image | Sequence[Image], *, next: int = 3, nearest: int = 3
    ) -> RecogniseResponse:
        """Which class each image shows: one result an image, in their order, all from one model and one revision.

        next, nearest: how many other classes and how many nearest examples each result lists.
        """
        files = [("images", file) for file in named_images(images)]
        form = {"next": next, "nearest": nearest}
        return self._to.request(
            RecogniseResponse, "POST", path("galleries", gallery, "recognise"), form=form, files=files
        )

    def verify(self, gallery: str, class_name: str, image: Image, *, nearest: int = 3) -> VerifyResponse:
        """Whether an image shows that class."""
        form = {"class": class_name, "nearest": nearest}
        files = [("image", file) for file in named_images(image)]
        if len(files) > 1:
            raise ServiceError(f"verify takes one image, and {len(files)} are given; call it for each")
        return self._to.request(VerifyResponse, "POST", path("galleries", gallery, "verify"), form=form, files=files)

    # Logged requests

    def feedback(
        self,
        gallery: str | None = None,
        order: str = "unknown",
        most: int | None = None,
        labelled: bool | None = None,
    ) -> list[FeedbackItem]:
        """Logged requests, most worth a review first; `order`: unknown, margin, disagreement or newest.

        labelled: only those with, or without, a person's label.
        """
        given = {"gallery": gallery, "labelled": labelled}
        query: dict[str, object] = {"order": order, "limit": PAGE, **{k: v for k, v in given.items() if v is not None}}
        items: list[FeedbackItem] = []
        while most is None or len(items) < most:
            page = self._to.request(Feedback, "GET", path("feedback"), query=query)
            items += page.items
            if page.next is None:
                break
            query["after"] = page.next
        return items[:most]

    def feedback_image(self, item: int) -> bytes:
        """The image of a logged request."""
        return self._to.send("GET", path("feedback", item, "image"))

    def forget_feedback(self, item: int) -> None:
        """Delete a logged request and its image."""
        self._to.send("DELETE", path("feedback", item))

    def label(self, items: dict[int, str], by: str) -> int:
        """Label logged images with their classes; `by`: who labels. Returns how many were labelled."""
        labels = [{"item": item, "class": name} for item, name in items.items()]
        given = body(GivenLabels, {"labels": labels, "by": by})
        return self._to.request(LabelResponse, "POST", path("feedback", "labels"), body=given).labelled

    def unknown_groups(self, gallery: str) -> list[list[int]]:
        """The items of logged unknown images without a label, in groups that look alike, the largest first."""
        found = self._to.request(UnknownGroups, "GET", path("galleries", gallery, "unknown"))
        return [group.items for group in found.groups]

    def suspects(self, gallery: str) -> Suspects:
        """Taught examples that their own gallery without them takes for another class."""
        return self._to.request(Suspects, "GET", path("galleries", gallery, "suspects"))
