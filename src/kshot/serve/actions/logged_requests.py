"""Lists logged requests by how much a review is worth, and shows, labels and deletes them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import ColumnElement, RowMapping, case, delete, func, select, tuple_, update

from kshot.serve.messages.feedback_messages import Feedback, FeedbackItem
from kshot.serve.messages.names import check_name, normal
from kshot.serve.messages.refusals import Refused, unknown_gallery
from kshot.serve.request_log import RequestLog, drop_files
from kshot.serve.store import tables
from kshot.serve.store.database import now
from kshot.serve.store.logged_table import LOGGED

Order = Literal["unknown", "margin", "disagreement", "newest"]
LONGEST_NAME = 200  # characters of who labels
_L, _G = LOGGED.c, tables.GALLERIES.c
_NEWEST = -_L.item
_CLOSEST = func.coalesce(_L.margin, 2.0)  # a difference of probabilities is at most 1
# Ascending; the last is different for each item, so that a page continues after an item whatever came meanwhile.
ORDERS: Mapping[str, tuple[ColumnElement[Any], ...]] = {
    "unknown": (case((_L.unknown, 0), else_=1), _CLOSEST, _NEWEST),
    "margin": (_CLOSEST, _NEWEST),
    "disagreement": (case((_L.challenger != _L.label, 0), else_=1), _CLOSEST, _NEWEST),
    "newest": (_NEWEST,),
}


def items(
    log: RequestLog,
    *,
    gallery: str | None = None,
    order: Order = "unknown",
    after: int | None = None,
    limit: int = 50,
    labelled: bool | None = None,
) -> Feedback:
    """One page of the log, most worth a review first. `labelled`: only items with, or without, a person's label.

    after: the last item of the page before. Raises Refused for an unknown gallery, or if that item is deleted.
    """
    keys = ORDERS[order]
    if after is not None:
        _require_storable(after)
    joined = select(LOGGED, _G.name.label("gallery_name")).join(tables.GALLERIES, _G.id == _L.gallery)
    with log.database.reading() as connection:
        if gallery is not None:
            number = connection.scalar(select(_G.id).where(_G.name == normal(gallery)))
            if number is None:
                raise unknown_gallery(gallery)
            joined = joined.where(_L.gallery == number)
        if labelled is not None:
            joined = joined.where(_L.given.is_not(None) if labelled else _L.given.is_(None))
        if after is not None:
            last = connection.execute(select(*keys).where(_L.item == after)).one_or_none()
            if last is None:
                raise unknown_item(after)
            joined = joined.where(tuple_(*keys) > tuple_(*last))
        rows = connection.execute(joined.order_by(*keys).limit(limit + 1)).mappings().all()
    found = [_message(row) for row in rows[:limit]]
    return Feedback(items=found, next=found[-1].item if len(rows) > limit else None)


def image(log: RequestLog, item: int) -> bytes:
    """The image of an item, as it was sent. Raises Refused."""
    _require_storable(item)
    with log.database.reading() as connection:
        sha256 = connection.scalar(select(_L.sha256).where(_L.item == item))
    if sha256 is None:
        raise unknown_item(item)
    try:
        return log.images.read(sha256)
    except FileNotFoundError:
        raise unknown_item(item) from None


def give_labels(log: RequestLog, labels: Sequence[tuple[int, str]], by: str) -> int:
    """Store the class of each item, who gave it and when: all of them or none. Returns their number. Raises Refused."""
    by = check_name("person", by.strip(), LONGEST_NAME)
    checked = {item: check_name("class", name) for item, name in labels}
    at = now()
    with log.database.writing() as connection:
        for item, name in checked.items():
            _require_storable(item)
            values = {"given": name, "by": by, "at": at}
            if not connection.execute(update(LOGGED).where(_L.item == item).values(values)).rowcount:
                raise unknown_item(item)
    return len(checked)


def forget(log: RequestLog, item: int) -> None:
    """Delete an item and its image. Raises Refused."""
    _require_storable(item)
    with log.database.writing() as connection:
        sha256 = connection.scalar(select(_L.sha256).where(_L.item == item))
        if sha256 is None:
            raise unknown_item(item)
        connection.execute(delete(LOGGED).where(_L.item == item))
    drop_files(log, {sha256})


def unknown_item(item: int) -> Refused:
    return Refused(404, "unknown_item", f"there is no logged request {item}; it may have been deleted, or be too old")


def _require_storable(item: int) -> None:
    """Raise Refused for a number that a database cannot take, and so never gave to an item."""
    if not 0 < item < 2**31:
        raise unknown_item(item)


def _message(row: RowMapping) -> FeedbackItem:
    return FeedbackItem.model_validate({**row, "gallery": row["gallery_name"], "requested": row["asked"]})
