"""Messages about logged requests, their labels, and taught examples that cause errors."""

from datetime import datetime

from pydantic import Field

from kshot.serve.messages.gallery_messages import NOT_EMPTY, GalleryResponse, RequestBody, ResponseBody


class FeedbackItem(ResponseBody):
    """One logged image of a request, with its prediction.

    margin     difference between the two highest probabilities; None for one class
    challenger the shadow model's label; None without a shadow
    given      the class that a person gave it, `by` whom and `at` which time
    """

    item: int
    request: str
    gallery: str
    requested: datetime
    model_version: str
    revision: int
    label: str
    probability: float | None
    margin: float | None
    distance: float | None
    unknown: bool | None
    challenger: str | None = None
    given: str | None = None
    by: str | None = None
    at: datetime | None = None


class Feedback(ResponseBody):
    items: list[FeedbackItem]
    next: int | None


class GivenLabel(RequestBody):
    item: int
    class_name: str = Field(validation_alias="class", serialization_alias="class", json_schema_extra=NOT_EMPTY)


class GivenLabels(RequestBody):
    """`by`: who labels, for the audit of the data version that is made from the labels."""

    labels: list[GivenLabel] = Field(min_length=1)
    by: str = Field(min_length=1)


class LabelResponse(ResponseBody):
    labelled: int


class Suspect(ResponseBody):
    """A taught example that its own gallery without it takes for another class."""

    example: int
    class_name: str = Field(validation_alias="class", serialization_alias="class")
    taken_for: str
    probability: float | None


class Suspects(GalleryResponse):
    suspects: list[Suspect]
    tested: int


class UnknownGroup(ResponseBody):
    """Logged images that look alike, by their items."""

    items: list[int]


class UnknownGroups(GalleryResponse):
    """groups: the largest first; radius: the mean distance within which groups were joined."""

    radius: float
    groups: list[UnknownGroup]
