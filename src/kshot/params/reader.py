"""Reads YAML sections into frozen dataclasses; checks that every key is known and every value has its type."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from kshot.errors import ParamsError
from kshot.first_few import first_few
from kshot.load_yaml import load_yaml, no_mapping, yaml_nodes, yaml_problem
from kshot.params.renamed import migrate

Section = TypeVar("Section")
Value = TypeVar("Value")

MOST_VALUES = 10_000  # of a file of settings; params.yaml has some hundred
NAMED = 8  # missing keys listed in one line


class MissingKeys(ParamsError):
    """Error for missing keys; `keys`: the dotted keys, or whole sections, that a file lacks, in order."""

    def __init__(self, keys: list[str]) -> None:
        several = f"{len(keys)} keys are missing: {first_few(keys, NAMED)}; add them"
        super().__init__(f"params.yaml: {several if len(keys) > 1 else f'{keys[0]} is missing; add it'}")
        self.keys = tuple(keys)


def need(condition: bool, message: str) -> None:
    """Raise ParamsError with `message` unless `condition` holds."""
    if not condition:
        raise ParamsError(f"params.yaml: {message}")


def resolved(key: str, value: Value | Literal["auto"]) -> Value:
    """The value itself. Raises ParamsError for `auto`, which the stages replace (`settings_fit.resolved`)."""
    if value == "auto":
        raise ParamsError(f"params.yaml: {key} is auto, and no data version says what that is")
    return value


def read_mapping(path: Path) -> dict[str, Any]:
    """The parsed content of a YAML file of sections, with current names, not yet checked.

    Raises ParamsError for a file that cannot be read, and for a setting that is present under its old and new name.
    """
    return migrate(parsed(path))


def parsed(path: Path, example: str = "train: {steps: 600}") -> dict[str, Any]:
    """As `read_mapping`, with the names in the file. `example`: of the content, for messages."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        place = "params.yaml in the project's root" if path.name == "params.yaml" else "file of settings, in YAML"
        raise ParamsError(f"{path}: {error.strerror}; needs a readable {place}") from error
    except UnicodeDecodeError as error:
        raise ParamsError(f"{path} is no UTF-8 (byte {error.start}); save it as UTF-8") from error
    try:
        nodes = yaml_nodes(text)
        if _size(nodes, {}) > MOST_VALUES:
            raise ParamsError(
                f"{path} has over {MOST_VALUES:,} values with its aliases (*name); write out those needed"
            )
        if repeated := _repeated(nodes):
            raise ParamsError(f"{path}, line {repeated[1]}: {repeated[0]} is there twice; delete one of the two")
        mapping = load_yaml(text)
    except yaml.YAMLError as error:
        raise ParamsError(f"{path} is not YAML: {yaml_problem(error)}; mend that line") from error
    except RecursionError as error:
        raise ParamsError(f"{path} nests its values too deeply; needs sections, as in `{example}`") from error
    if not isinstance(mapping, dict):
        raise ParamsError(f"{path} {no_mapping(mapping)}; needs sections, as in `{example}`")
    return mapping


def _size(node: yaml.Node | None, sizes: dict[int, float]) -> float:
    """The number of values in `node`, those of an alias counted wherever it stands: infinite if it contains itself.

    sizes: those of the nodes that were counted, by id. Aliases of aliases double with each line: what is written in
    30 lines would take minutes to walk through.
    """
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        inside = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for one in inside for part in (one if isinstance(one, tuple) else (one,))]
        sizes[id(node)] = 1 + sum(_size(part, sizes) for part in parts)
    return sizes[id(node)]


def _repeated(node: yaml.Node | None, where: str = "") -> tuple[str, int] | None:
    """The first key that a mapping has twice, dotted, and its line; YAML would silently take the last value."""
    if not isinstance(node, yaml.MappingNode):
        return None
    seen: set[str] = set()
    for key, value in node.value:
        name = _join(where, str(key.value))
        if name in seen:
            return name, key.start_mark.line + 1
        seen.add(name)
        if found := _repeated(value, name):
            return found
    return None


def build(kind: type[Section], value: Any, where: str = "") -> Section:
    """Build an instance of the dataclass `kind` from `value`, checking the types of its fields and sections.

    `where` is the dotted key of `value`. Raises ParamsError for an unknown key, with the nearest known one, and for a
    value of the wrong type; MissingKeys for all missing keys at once.
    """
    _refuse_unknown(kind, value, where)
    if lacking := list(_missing(kind, value, where)):
        raise MissingKeys(lacking)
    fields = typing.get_type_hints(kind)
    return kind(**{key: _convert(fields[key], found, _join(where, key)) for key, found in value.items()})


def _refuse_unknown(kind: Any, value: Any, where: str) -> None:
    if not isinstance(value, Mapping):
        raise ParamsError(f"params.yaml: {where or 'the file'} holds {value!r}; needs a section of keys")
    fields = typing.get_type_hints(kind)
    for key in value:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {_join(where, near[0])}?" if near else f"known are {', '.join(fields)}"
            raise ParamsError(f"params.yaml: unknown key {_join(where, key)}; {hint}")
        if dataclasses.is_dataclass(fields[key]):
            _refuse_unknown(fields[key], value[key], _join(where, key))


def _missing(kind: Any, value: Mapping[str, Any], where: str) -> Iterator[str]:
    """The dotted keys that are missing in `value` and its sections."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        path = _join(where, field.name)
        if field.name in value and dataclasses.is_dataclass(hints[field.name]):
            yield from _missing(hints[field.name], value[field.name], path)
        elif field.name not in value and field.default is dataclasses.MISSING:
            yield path


def _convert(hint: Any, value: Any, where: str) -> Any:
    """The value of a field with the type `hint`."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, value, where)
    return CONVERTERS.get(typing.get_origin(hint), _scalar)(hint, value, where)


def _union(hint: Any, value: Any, where: str) -> Any:
    """A value that may be None or one of some words, beside one or more types."""
    arguments = typing.get_args(hint)
    if value is None and types.NoneType in arguments:
        return None
    choices = [word for kind in arguments if typing.get_origin(kind) is Literal for word in typing.get_args(kind)]
    if isinstance(value, str) and value in choices:
        return value
    kinds = [kind for kind in arguments if kind is not types.NoneType and typing.get_origin(kind) is not Literal]
    if len(kinds) == 1 and (not choices or isinstance(value, Mapping)):
        return _convert(kinds[0], value, where)
    if type(value) in kinds:
        return value
    if len(kinds) == 1:
        name = "mapping" if typing.get_origin(kinds[0]) is dict else "whole number"
        raise _invalid(where, value, f"a {name}, or {' or '.join(choices)}")
    raise _invalid(where, value, f"a value of type {' or '.join(kind.__name__ for kind in kinds)}")


def _one_of(hint: Any, value: Any, where: str) -> Any:
    choices = typing.get_args(hint)
    if value not in choices:
        raise _invalid(where, value, f"one of {', '.join(map(str, choices))}")
    return value


def _list(hint: Any, value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _invalid(where, value, "a value of type list")
    return tuple(_convert(typing.get_args(hint)[0], item, where) for item in value)


def _mapping(hint: Any, value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _invalid(where, value, "a value of type mapping")
    kind = typing.get_args(hint)[1]
    return {str(key): _convert(kind, item, _join(where, key)) for key, item in value.items()}


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if hint in (int, bool, str) and type(value) is hint:
        return value
    raise _invalid(where, value, f"a value of type {'finite number' if hint is float else hint.__name__}")


CONVERTERS: dict[Any, Callable[[Any, Any, str], Any]] = {
    types.UnionType: _union,
    typing.Union: _union,
    Literal: _one_of,
    tuple: _list,
    dict: _mapping,
}


def _invalid(where: str, value: Any, needs: str) -> ParamsError:
    return ParamsError(f"params.yaml: {where} is {value!r}; needs {needs}")


def _join(where: str, key: object) -> str:
    return f"{where}.{key}" if where else str(key)
