import asyncio
from collections.abc import Callable

import httpx
import pytest
from fastapi import Request

from kshot.serve.rest import bodies
from kshot.serve.rest.bodies import Form, SentFile, read_form
from kshot.serve.rest.plain_form import plain_form

KIND = "multipart/form-data; boundary=b"
FILE = b'--b\r\nContent-Disposition: form-data; name="images"; filename="1.png"\r\nContent-Type: image/png\r\n\r\n'
FIELD = b'--b\r\nContent-Disposition: form-data; name="next"\r\n\r\n'
END = b"\r\n--b--\r\n"


def read(content: bytes, kind: str, most_files: int = 4) -> Form:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(content)).encode())]

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": content, "more_body": False}

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers, "app": None}, receive)
    return asyncio.run(read_form(request, most_files))


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, str], Form]:
    """Reads a form by the general parser alone."""

    def reading(content: bytes, kind: str) -> Form:
        with monkeypatch.context() as patch:
            patch.setattr(bodies, "plain_form", lambda *_: None)
            return read(content, kind)

    return reading


@pytest.mark.parametrize(
    "image", [b"", b"\r\n", b"\r\n\r\n--", b"--b", b"a\r\n--", b"\x00\xff" * 999], ids=lambda image: repr(image)[:20]
)
def test_a_client_s_form_is_read_at_once_as_the_general_parser_reads_it(
    image: bytes, slowly: Callable[[bytes, str], Form]
) -> None:
    files = [("images", ("1.png", image)), ("images", ("Äpfel.png", b"2"))]
    request = httpx.Request("POST", "http://a", data={"next": "3", "class": "Äpfel"}, files=files)
    content, kind = request.read(), request.headers["content-type"]
    parts = plain_form(content, kind)
    assert parts is not None and [value for _, _, value in parts] == [b"3", "Äpfel".encode(), image, b"2"]
    expected = Form(
        {"next": "3", "class": "Äpfel"}, {"images": [SentFile("1.png", image), SentFile("Äpfel.png", b"2")]}
    )
    assert read(content, kind) == slowly(content, kind) == expected


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (FILE + b"1" + END, "multipart/form-data; boundary=c"),
        (FILE + b"1" + END, "multipart/form-data"),
        (FILE + b"1", KIND),  # cut off
        (FILE + b"1\r\n--bc\r\n", KIND),  # of a longer delimiter
        (b"preamble\r\n" + FILE + b"1" + END, KIND),
        (FILE + b"1" + END + b"epilogue", KIND),
        (FILE.replace(b"1.png", b"%22.png") + b"1" + END, KIND),
        (FILE.replace(b"1.png", b'\\".png') + b"1" + END, KIND),
        (FILE.replace(b'filename="1.png"', b"filename*=utf-8''1.png") + b"1" + END, KIND),
        (FILE.replace(b"image/png", b"text/plain; charset=latin-1") + b"1" + END, KIND),
        (FILE.replace(b"image/png\r\n", b"image/png\r\nContent-Transfer-Encoding: base64\r\n") + b"1" + END, KIND),
        (b"--b\r\nContent-Type: image/png\r\n\r\n1" + END, KIND),
        (FIELD.replace(b"next", b"\xff") + b"1" + END, KIND),
        (b"", KIND),
    ],
    ids=range(14),
)
def test_what_is_unusual_or_damaged_is_left_to_the_general_parser(content: bytes, kind: str) -> None:
    assert plain_form(content, kind) is None


def test_a_form_that_holds_too_much_is_refused_as_before() -> None:
    with pytest.raises(Exception, match="more than 1 images"):
        read(FILE + b"1\r\n" + FILE + b"2" + END, KIND, most_files=1)
    with pytest.raises(Exception, match="cannot be read"):
        read(b"\r\n".join(FIELD + b"1" for _ in range(21)) + END, KIND)
    assert read(FIELD + b"\xff" + END, KIND).fields == {"next": "\xff"}  # as the general parser reads it
