"""Descriptions of bodies for the OpenAPI document, where a route takes a form or JSON."""

from typing import Any

from pydantic import BaseModel

_FILE = {"type": "string", "format": "binary"}
_FILES = {"type": "array", "items": _FILE, "minItems": 1}
_NAME = {"type": "string", "minLength": 1}
_NUMBER = {"type": "integer", "default": 3, "minimum": 0, "maximum": 100}


def _form(required: list[str], **fields: object) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": {name.rstrip("_"): f for name, f in fields.items()}}


FORM_TEACH = _form(["class", "images"], class_=_NAME, images=_FILES, request={"type": "string"})
FORM_RECOGNISE = _form(["images"], images=_FILES, next=_NUMBER, nearest=_NUMBER)
FORM_VERIFY = _form(["class", "image"], class_=_NAME, image=_FILE, nearest=_NUMBER)


def body(form: dict[str, Any], message: type[BaseModel]) -> dict[str, Any]:
    """A body that is a form or a JSON message."""
    return {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": {"schema": form}, "application/json": {"schema": _inline(message)}},
        }
    }


def json_body(message: type[BaseModel]) -> dict[str, Any]:
    """A body that is a JSON message, of a route that reads it by itself."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _inline(message)}}}}


def archive() -> dict[str, Any]:
    """A body that is a zip, by itself or in a form."""
    form = _form(["file"], file=_FILE)
    content = {"application/zip": {"schema": _FILE}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


def _inline(message: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a message without references: it is no part of the document's components."""
    schema = message.model_json_schema()
    definitions = schema.pop("$defs", {})

    def resolved(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return resolved(definitions[value["$ref"].rpartition("/")[2]])
            return {key: resolved(item) for key, item in value.items()}
        return [resolved(item) for item in value] if isinstance(value, list) else value

    found: dict[str, Any] = resolved(schema)
    return found
