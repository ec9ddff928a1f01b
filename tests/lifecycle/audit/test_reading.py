"""Content of a record that no hash protects."""

from collections.abc import Callable
from pathlib import Path

import pytest

from kshot.lifecycle.audit.reading import at, json_of, mapping, text_of, yaml_of
from kshot.lifecycle.project.broken import Broken


def file(folder: Path, content: bytes) -> Path:
    path = folder / "file"
    path.write_bytes(content)
    return path


def test_what_is_whole_is_read(tmp_path: Path) -> None:
    assert json_of("x", b'{"a": [1]}') == {"a": [1]} == yaml_of("x", file(tmp_path, b"a: [1]"))
    assert text_of("x", file(tmp_path, "é".encode())) == "é"
    assert at("x", {"a": [1]}, "a", 0) == 1 and mapping("x", {}) == {}


@pytest.mark.parametrize(
    ("read", "told"),
    [
        (lambda _: json_of("the tag", "{"), "the tag is no JSON any more"),
        (lambda folder: yaml_of("the file", file(folder, b"a: [")), "the file is no YAML any more"),
        (lambda folder: yaml_of("the file", file(folder, b"a: \x01")), "the file is no YAML any more"),
        (lambda folder: text_of("the file", file(folder, b"\xff")), "the file is no text any more"),
        (lambda _: at("the file", {"a": []}, "a", 0), "the file has no 0 any more"),
        (lambda _: at("the file", [1], "a"), "the file has no 'a' any more"),
        (lambda _: mapping("the file", None), "the file holds no keys any more"),
    ],
)
def test_what_is_not_is_broken_with_what_was_found(tmp_path: Path, read: Callable[[Path], object], told: str) -> None:
    with pytest.raises(Broken, match=told) as raised:
        read(tmp_path)
    assert raised.value.recorded and raised.value.found
