"""Finds the pages that show images of a data version, and removes the images from them."""

import re
from collections.abc import Collection

IN_PAGE = re.compile(rb"data:image/(?:png|jpeg);base64,[A-Za-z0-9+/=]+")
EMPTY = b"data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAAC"  # one transparent pixel
SHORT = re.compile(rb"\b[0-9a-f]{8}\b|\b[0-9a-f]{32}\b")


def is_about(page: bytes, versions: Collection[str], others: Collection[str]) -> bool:
    """Whether a page shows images and names one of these data versions, or at least none of the others."""
    if not IN_PAGE.search(page):
        return False
    named = {found.decode()[:8] for found in SHORT.findall(page)}
    return bool(named & {md5[:8] for md5 in versions}) or not named & {md5[:8] for md5 in others}


def without_images(page: bytes) -> bytes:
    """The page with an empty image in place of each image; its figures and its text stay."""
    return IN_PAGE.sub(EMPTY, page)
