"""Reads the bodies of requests: JSON with base64 images, or a form with files."""

import base64
import binascii
from dataclasses import dataclass
from typing import TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from kshot.serve.engine.decoding import SentImage
from kshot.serve.messages.refusals import Refused
from kshot.serve.rest.plain_form import MOST_BYTES, Parts, plain_form

BodyT = TypeVar("BodyT", bound=BaseModel)
FIELDS = 20  # of a form, besides files
FIELD_BYTES = 64 * 1024
SMALL_BYTES = 64 * 1024


@dataclass(frozen=True)
class SentFile:
    """A file of a form: its name as the client sent it, and its bytes."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Form:
    """A form's fields, the last of each name, and its files by their field."""

    fields: dict[str, str]
    files: dict[str, list[SentFile]]


def is_form(request: Request) -> bool:
    """Whether the body is multipart. Raises Refused for a body that is neither that nor JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("multipart/form-data", "application/json"):
        raise Refused(
            415,
            "unsupported_body",
            f"the request's Content-Type is {kind or 'missing'}; needs multipart/form-data or application/json",
        )
    return kind == "multipart/form-data"


async def read_form(request: Request, most_files: int) -> Form:
    """The form in the body. Raises Refused for one that is damaged or has too many files."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) <= MOST_BYTES:
        plain = plain_form(await request.body(), request.headers["content-type"])
        if plain is not None and (form := _form_of(plain, most_files)) is not None:
            return form
    try:
        async with request.form(max_files=most_files, max_fields=FIELDS, max_part_size=FIELD_BYTES) as sent:
            fields: dict[str, str] = {}
            files: dict[str, list[SentFile]] = {}
            for name, value in sent.multi_items():
                if isinstance(value, UploadFile):
                    files.setdefault(name, []).append(SentFile(value.filename or "", await value.read()))
                else:
                    fields[name] = value
    except HTTPException as error:
        if "Too many files" in str(error.detail):
            text = f"the request holds more than {most_files} images; send several requests"
            raise Refused(413, "too_many_images", text) from None
        raise Refused(400, "bad_form", f"the form cannot be read ({error.detail}); send it again") from None
    return Form(fields, files)


def _form_of(parts: Parts, most_files: int) -> Form | None:
    """The form of these parts; None for one that has too much of something, or text that is no UTF-8."""
    fields: dict[str, str] = {}
    files: dict[str, list[SentFile]] = {}
    for name, file, content in parts:
        if file:
            files.setdefault(name, []).append(SentFile(file, content))
        elif file is None and len(content) <= FIELD_BYTES:
            try:
                fields[name] = content.decode()
            except UnicodeDecodeError:
                return None
        else:
            return None
    n_files = sum(map(len, files.values()))
    return Form(fields, files) if n_files <= most_files and len(parts) - n_files <= FIELDS else None


async def read_json(request: Request, kind: type[BodyT]) -> BodyT:
    """The body as a message. Raises Refused that names the first field that does not fit."""
    content = await request.body()

    def parsed() -> BodyT:
        try:
            return kind.model_validate_json(content)
        except ValidationError as error:
            raise bad_request(error) from None

    # To change threads and back takes longer than to read a small message.
    return parsed() if len(content) <= SMALL_BYTES else await run_in_threadpool(parsed)


def bad_request(error: ValidationError) -> Refused:
    """The refusal of a body that does not fit: what its first error is, without the value, which may be an image."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return Refused(400, "bad_json", f"the body is no JSON: {first['msg']}")
    place = ".".join(str(part) for part in first["loc"])
    return Refused(422, "bad_request", f"{place or 'the body'}: {first['msg']}")


def from_base64(text: str, name: str) -> SentImage:
    """An image of a JSON body. Raises Refused for text that is no base64."""
    try:
        # Some encoders break lines, and browsers put the kind in front.
        plain = text.partition(",")[2] if text.startswith("data:") else text
        return SentImage(base64.b64decode("".join(plain.split()), validate=True), name)
    except (binascii.Error, ValueError):
        raise Refused(422, "bad_base64", f"{name} is no base64; needs that of an image file") from None


def number_of(form: Form, name: str, default: int, most: int = 100) -> int:
    """A whole number among a form's fields. Raises Refused."""
    text = form.fields.get(name, str(default))
    if not text.isdecimal() or len(text) > 4 or int(text) > most:
        raise Refused(422, "bad_request", f"{name} is {text!r}; needs a whole number from 0 to {most}")
    return int(text)


def field_of(form: Form, name: str) -> str:
    """A field that a form must have. Raises Refused."""
    if name not in form.fields:
        raise Refused(422, "bad_request", f"the form has no field {name!r}; needs it")
    return form.fields[name]


def images_of(form: Form, name: str) -> list[tuple[SentImage, str]]:
    """The files of a field as images, each with its own name. Raises Refused for a form without that field."""
    files = form.files.get(name, [])
    if not files:
        raise Refused(422, "no_image", f"the form has no file in the field {name!r}; needs images there")
    named = [f"{name}[{place}] ({file.name[:100]!r})" for place, file in enumerate(files)]
    return [(SentImage(file.content, one), file.name) for file, one in zip(files, named, strict=True)]
