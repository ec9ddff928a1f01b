"""Renders HTML pages from jinja templates in this folder: one file per page, without external resources."""

import base64
import re
from pathlib import Path
from types import CodeType
from typing import Any

from jinja2 import BytecodeCache, Environment, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from kshot.lifecycle.project.files import write_bytes

DATE = re.compile(r"\d{4}-\d\d-\d\d")
NONE = "\N{EN DASH}"  # shown for a missing figure

# In every page's head: a browser loads only content of the page itself, whatever a name or a template contains.
POLICY = Markup(
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
)


class Compiled(BytecodeCache):
    """The compiled templates of this process: to compile one takes longer than to render it."""

    def __init__(self) -> None:
        self.code: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.code[bucket.key, bucket.checksum] = bucket.code


COMPILED = Compiled()


def pages() -> Environment:
    """The environment of page templates, with the filters and the policy that all of them use."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=COMPILED,
    )
    environment.filters.update(
        percent=percent, figure=figure, bounds=bounds, whole=whole, breakable=breakable, whole_dates=whole_dates
    )
    environment.globals["policy"] = POLICY
    return environment


def write_page(page: str, path: Path) -> Path:
    """Write `page` to `path` atomically, and return `path`."""
    # A class name may contain a file name that is not text (a lone surrogate): it is escaped.
    write_bytes(path, page.encode("utf-8", "backslashreplace"))
    return path


def png_address(png: bytes) -> str:
    """A PNG file as a data address that contains the image itself."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def jpeg_address(jpeg: bytes) -> str:
    """A JPEG file as a data address that contains the image itself."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def percent(value: Any, digits: int = 2) -> str:
    """A share in per cent, "98.61 %"; a dash if missing."""
    return NONE if is_missing(value) else f"{100 * float(value):.{digits}f} %"


def figure(value: Any, digits: int = 4) -> str:
    """A number with that many significant digits; a dash if missing."""
    return NONE if is_missing(value) else f"{float(value):.{digits}g}"


def bounds(row: Any) -> str:
    """The interval from row["low"] to row["high"], shares, in per cent, "[98.50, 98.72]"; a dash if missing."""
    ends = row["low"], row["high"]
    return NONE if any(map(is_missing, ends)) else f"[{100 * ends[0]:.2f}, {100 * ends[1]:.2f}]"


def whole(value: Any) -> str:
    """A count, "1,004"; a dash if missing."""
    return NONE if is_missing(value) else f"{value:,.0f}"


def is_missing(value: Any) -> bool:
    """Whether `value` is None or not a number."""
    return value is None or value != value


def whole_dates(text: str) -> Markup:
    """Text, escaped, that is not broken within a date such as 2026-11-28."""
    return Markup(DATE.sub(r'<span class="together">\g<0></span>', str(escape(text))))


def breakable(name: str) -> Markup:
    """A folder name, escaped, that a narrow column may break after a slash or an underscore."""
    broken = str(escape(name)).replace("/", "/<wbr>").replace("_", "_<wbr>")
    return Markup(broken)
