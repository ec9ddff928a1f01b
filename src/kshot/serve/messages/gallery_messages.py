"""Messages of the gallery service's REST interface, as pydantic models; /openapi.json is made from them.

A field named `class` on the wire is `class_name` in Python. A request with an unknown field is refused, so that a
typing error is not ignored; a client ignores the fields of an answer that it does not know, so that an older one works.
`ask_messages` and `feedback_messages` have the rest.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Log = Literal["off", "all", "unknown", "sample"]
MISSING = "missing.csv"  # in an export: the taught images whose files are lost


class Request(BaseModel):
    """A body that a client sends."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Answer(BaseModel):
    """A body that the service sends."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class GalleryAnswer(Answer):
    """An answer about one gallery: the model that it is answered by, and the gallery's revision."""

    model_version: str
    revision: int


# Errors and the service


class Problem(Answer):
    """code: for a program, such as unknown_gallery; message: one line for a person."""

    code: str
    message: str


class ErrorAnswer(Answer):
    """The body of every answer that is not 2xx; `request` is the id that the log names."""

    error: Problem
    request: str


class ModelName(Answer):
    """A registered model; `alias` is the one that the service follows."""

    name: str
    version: str
    alias: str


class Limits(Answer):
    """What a request may hold at most; None is no limit."""

    body_bytes: int
    import_bytes: int
    image_pixels: int
    images: int
    requests_per_second: float | None
    name_characters: int


class Service(Answer):
    """calibrated    whether `probability` in answers is calibrated
    answers_by    the classifier, such as "prototype"
    state         degraded: it serves on what it has, and `notes` says what is missing
    switching_to  the version that galleries are being embedded with; None if none is
    """

    project: str
    model: ModelName
    calibrated: bool
    answers_by: str
    limits: Limits
    log: Log
    state: Literal["ready", "degraded"] = "ready"
    notes: list[str] = []
    switching_to: str | None = None
    shadow: ModelName | None = None


# Galleries, classes and examples


class NewGallery(Request):
    name: str


class GalleryChange(Request):
    """A field that is left out does not change; `unknown_threshold` null is the model's own threshold."""

    name: str | None = None
    unknown_threshold: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class ClassCount(Answer):
    name: str
    examples: int


class Gallery(GalleryAnswer):
    """unknown_threshold: the gallery's own distance, None for the model's."""

    name: str
    classes: list[ClassCount]
    unknown_threshold: float | None
    created: datetime


class Galleries(Answer):
    galleries: list[Gallery]


class ClassChange(Request):
    """A new name for a class; `merge` allows the name of an existing class, which takes the examples over."""

    name: str
    merge: bool = False


class Changed(GalleryAnswer):
    """The response to a change that leaves nothing to describe."""


class Example(Answer):
    """One taught image. `id` is never used again after a deletion; `request` is the asked image that it came from."""

    id: int
    class_name: str = Field(validation_alias="class", serialization_alias="class")
    sha256: str
    name: str
    bytes: int
    width: int
    height: int
    taught: datetime
    request: str | None = None


class Examples(GalleryAnswer):
    """One page of examples, by id; `next` is the value of `after` for the following page, None on the last."""

    examples: list[Example]
    next: int | None


class ExampleAnswer(GalleryAnswer, Example):
    """One example, and its gallery's revision."""


class NewExample(Request):
    """image: the base64 of an image file."""

    class_name: str = Field(validation_alias="class", serialization_alias="class")
    image: str
    name: str = ""
    request: str | None = None


class NewExamples(Request):
    examples: list[NewExample] = Field(min_length=1)


class Taught(GalleryAnswer):
    """examples: added by this request; already: the class held the same image before; notes: lines for a person."""

    examples: list[Example]
    already: list[Example]
    notes: list[str]


class LeftOut(Answer):
    """Files of an import that were not taken, by one reason; `files` names the first few."""

    reason: str
    count: int
    files: list[str]


class Imported(GalleryAnswer):
    """taken, already: numbers of images, as in `Taught`."""

    taken: int
    already: int
    left_out: list[LeftOut]
    notes: list[str]
