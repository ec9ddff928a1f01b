"""The addresses that a browser would load for a page: its images, scripts, styles and frames."""

import re
from html.parser import HTMLParser

IMAGES = ("data:image/png;base64,", "data:image/jpeg;base64,")
LOADING = ("src", "srcset", "data", "action", "poster", "background", "xlink:href", "formaction")


class _Loads(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "iframe", "object", "embed", "base"):
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            loads = name in LOADING or (name == "href" and tag != "a")
            self.found += [value or ""] if loads else in_style(value or "") if name == "style" else []

    def handle_data(self, data: str) -> None:
        if self.get_starttag_text() and str(self.get_starttag_text()).startswith("<style"):
            self.found += in_style(data)


def in_style(text: str) -> list[str]:
    """The addresses that a style sheet loads."""
    return re.findall(r"url\([^)]*\)|@import[^;]*", text)


def loads(page: str) -> list[str]:
    """Every address that `page` loads, those that hold an image themselves left out, and every tag that runs code."""
    parser = _Loads()
    parser.feed(page)
    return [address for address in parser.found if not address.startswith(IMAGES)]
