"""Messages of the gallery service's REST interface, as pydantic models; /openapi.json is made from them.

A field named `class` on the wire is `class_name` in Python. A request with an unknown field is refused, so that a
typing error is not ignored; a client ignores unknown fields of a response, so that a newer service may add some.
`recognise_messages` and `feedback_messages` have the rest.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Log = Literal["off", "all", "unknown", "sample"]
# Only for the OpenAPI document: `names` refuses an empty name with its own message.
NOT_EMPTY: dict[str, JsonValue] = {"minLength": 1}
BASE64: dict[str, JsonValue] = {"format": "byte"}  # clients in Go, Java or C# then encode bytes by themselves
MISSING = "missing.csv"  # in an export: the taught images whose files are lost


class RequestBody(BaseModel):
    """A body that a client sends."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ResponseBody(BaseModel):
    """A body that the service sends."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class GalleryResponse(ResponseBody):
    """A response about one gallery, with the version that predicts and the gallery's revision."""

    model_version: str
    revision: int


# Errors and the service


class Problem(ResponseBody):
    """code: for a program, such as unknown_gallery; message: one line for a person."""

    code: str
    message: str


class ErrorResponse(ResponseBody):
    """The body of every response that is not 2xx; `request` is the id that the log names."""

    error: Problem
    request: str


class InferenceErrorResponse(ResponseBody):
    """The same below /v2, where the Open Inference Protocol wants `error` to be the message."""

    error: str
    code: str
    request: str


class ModelName(ResponseBody):
    """A registered model; `alias` is the one that the service follows."""

    name: str
    version: str
    alias: str


class Limits(ResponseBody):
    """What a request may hold at most; None is no limit."""

    body_bytes: int
    import_bytes: int
    image_pixels: int
    images: int
    requests_per_second: float | None
    name_characters: int


class Service(ResponseBody):
    """calibrated    whether `probability` of a prediction is calibrated
    classifier    how images are classified, such as "prototype"
    state         degraded: it serves on what it has, and `notes` says what is missing
    switching_to  the version that galleries are being embedded with; None if none is
    """

    project: str
    model: ModelName
    calibrated: bool
    classifier: str
    limits: Limits
    log: Log
    state: Literal["ready", "degraded"] = "ready"
    notes: list[str] = []
    switching_to: str | None = None
    shadow: ModelName | None = None


# Galleries, classes and examples


class NewGallery(RequestBody):
    name: str = Field(json_schema_extra=NOT_EMPTY)


class GalleryChange(RequestBody):
    """A field that is left out does not change; `unknown_threshold` null is the model's own threshold."""

    name: str | None = Field(default=None, json_schema_extra=NOT_EMPTY)
    unknown_threshold: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class ClassCount(ResponseBody):
    name: str
    examples: int


class Gallery(GalleryResponse):
    """unknown_threshold: the gallery's own distance, None for the model's."""

    name: str
    classes: list[ClassCount]
    unknown_threshold: float | None
    created: datetime


class Galleries(ResponseBody):
    galleries: list[Gallery]


class ClassChange(RequestBody):
    """A new name for a class; `merge` allows the name of an existing class, which takes the examples over."""

    name: str = Field(json_schema_extra=NOT_EMPTY)
    merge: bool = False


class ChangeResponse(GalleryResponse):
    """The response to a change that leaves nothing to describe."""


class Example(ResponseBody):
    """One taught image. `id` is never used again after a deletion; `request` is the request whose image was taught."""

    id: int
    class_name: str = Field(validation_alias="class", serialization_alias="class")
    sha256: str
    name: str
    bytes: int
    width: int
    height: int
    taught: datetime
    request: str | None = None


class Examples(GalleryResponse):
    """One page of examples, by id; `next` is the value of `after` for the following page, None on the last."""

    examples: list[Example]
    next: int | None


class ExampleResponse(GalleryResponse, Example):
    """One example, and its gallery's revision."""


class NewExample(RequestBody):
    """image: the base64 of an image file."""

    class_name: str = Field(validation_alias="class", serialization_alias="class", json_schema_extra=NOT_EMPTY)
    image: str = Field(json_schema_extra=BASE64)
    name: str = ""
    request: str | None = None


class NewExamples(RequestBody):
    examples: list[NewExample] = Field(min_length=1)


class TeachResponse(GalleryResponse):
    """examples: added by this request; already: the class held the same image before; notes: lines for a person."""

    examples: list[Example]
    already: list[Example]
    notes: list[str]


class LeftOut(ResponseBody):
    """Files of an import that were not taken, by one reason; `files` names the first few."""

    reason: str
    count: int
    files: list[str]


class ImportResponse(GalleryResponse):
    """taken, already: numbers of images, as in `TeachResponse`."""

    taken: int
    already: int
    left_out: list[LeftOut]
    notes: list[str]
