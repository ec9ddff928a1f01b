"""Refusals of a request: each has a status code, a code for programs, and one line for a person."""

from kshot.errors import KshotError


class Refused(KshotError):
    """A request that is refused with `status` and the error `code`; `headers` are added to the response."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


def unknown_gallery(name: str) -> Refused:
    return Refused(404, "unknown_gallery", f"there is no gallery {name!r}; GET /v1/galleries lists them")


def unknown_class(gallery: str, name: str) -> Refused:
    return Refused(404, "unknown_class", f"gallery {gallery!r} has no class {name!r}; GET /v1/galleries/{gallery}")


def unknown_example(gallery: str, number: int) -> Refused:
    return Refused(404, "unknown_example", f"gallery {gallery!r} has no example {number}; it may have been deleted")


def empty_gallery(name: str) -> Refused:
    return Refused(409, "empty_gallery", f"gallery {name!r} holds no example; teach it a class first")


def store_unreachable(reason: str) -> Refused:
    return Refused(
        503,
        "store_unreachable",
        f"the gallery store cannot be written ({reason}); nothing was changed: try again",
        {"Retry-After": "5"},
    )


def disk_full() -> Refused:
    return Refused(
        503,
        "disk_full",
        "the gallery store's disk is full; nothing was changed: free some space",
        {"Retry-After": "60"},
    )
