"""Parses YAML with libyaml where PyYAML has it, many times as fast as PyYAML's own parser."""

from typing import Any


def load_yaml(text: str | bytes) -> Any:
    """The value of a YAML document of plain types, None for an empty one. Raises yaml.YAMLError.

    >>> load_yaml("{n_way: 5, protocols: [5w1s]}")
    {'n_way': 5, 'protocols': ['5w1s']}
    """
    import yaml  # not for every command

    return yaml.load(text, Loader=_loader())


def yaml_nodes(text: str) -> Any:
    """The root node of a YAML document, which has the keys as they were written, and their lines."""
    import yaml

    return yaml.compose(text, Loader=_loader())


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def yaml_problem(error: Exception) -> str:
    """The line and the problem of a yaml.YAMLError, without the parser's own terms for its input.

    >>> try:
    ...     load_yaml("seeds: [1, 2")
    ... except Exception as error:
    ...     yaml_problem(error)
    "line 2: did not find expected ',' or ']'"
    """
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    return f"line {mark.line + 1}: {problem}"


def no_mapping(found: Any) -> str:
    """The predicate of a message about `found`, where a mapping is needed.

    >>> no_mapping(None), no_mapping([5]), no_mapping("steps 5")
    ('is empty', 'is a list', "is 'steps 5'")
    """
    return "is empty" if found is None else "is a list" if isinstance(found, list) else f"is {str(found)[:40]!r}"
