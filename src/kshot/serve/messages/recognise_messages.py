"""Requests and responses of recognise and verify."""

from typing import Annotated

from pydantic import Field

from kshot.serve.messages.gallery_messages import BASE64, GalleryResponse, RequestBody, ResponseBody


class RecogniseRequest(RequestBody):
    """images: base64 of 1 to 64 image files; next, nearest: how many classes and examples each result lists."""

    images: list[Annotated[str, Field(json_schema_extra=BASE64)]] = Field(min_length=1)
    next: int = Field(default=3, ge=0, le=100)
    nearest: int = Field(default=3, ge=0, le=100)


class NearestExample(ResponseBody):
    """distance: from the query image to this example, as `Result.distance`."""

    example: int
    class_name: str = Field(validation_alias="class", serialization_alias="class")
    distance: float


class NextClass(ResponseBody):
    class_name: str = Field(validation_alias="class", serialization_alias="class")
    probability: float | None


class Result(ResponseBody):
    """label        the class that fits best, also if the image is unknown
    probability  of `label` among the gallery's classes, in [0, 1]; None if the gallery has one class, which nothing
                 competes with
    distance     to the mean of `label`: Euclidean, or 1 - cos if the classifier compares by cosine; None for a method
                 without a fixed embedding
    threshold    the distance beyond which an image is unknown; None: the model has none, and the gallery sets none
    unknown      whether the image is farther than `threshold` from every class; None without a threshold
    nearest      the nearest examples, nearest first; [] for a method without a fixed embedding
    next         the classes after `label`, most probable first
    """

    label: str
    probability: float | None
    distance: float | None
    unknown: bool | None
    threshold: float | None
    nearest: list[NearestExample]
    next: list[NextClass]


class RecogniseResponse(GalleryResponse):
    """One result an image, in their order; `calibrated`: whether the probabilities are."""

    request: str
    calibrated: bool
    results: list[Result]


class VerifyRequest(RequestBody):
    class_name: str = Field(validation_alias="class", serialization_alias="class")
    image: str = Field(json_schema_extra=BASE64)
    nearest: int = Field(default=3, ge=0, le=100)


class VerifyResponse(GalleryResponse):
    """same         whether the image is of the class: it is the best class, and the image is not unknown
    best         the class that fits best, also if the image is unknown
    unknown      whether the image is farther than `threshold` from every class, as recognise says; None without one
    probability  of the class among the gallery's classes; None if the gallery has one class
    distance     to the mean of the class, as `Result.distance`; None for a method without a fixed embedding
    nearest      the nearest examples of the class

    Without a threshold and with a single class there is nothing to decide by: `same` is None.
    """

    request: str
    calibrated: bool
    class_name: str = Field(validation_alias="class", serialization_alias="class")
    same: bool | None
    best: str
    unknown: bool | None = None
    probability: float | None
    distance: float | None
    threshold: float | None
    nearest: list[NearestExample]
