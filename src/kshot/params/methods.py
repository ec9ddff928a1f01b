"""The table of methods: the names that `train.method.name` accepts, and the arguments of each.

No other code can be chosen by name. The table is plain data, so that settings are checked without importing torch;
`kshot.methods.table` creates the methods.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from kshot import plugins
from kshot.classifiers import MEAN_DISTANCES
from kshot.params.reader import need

Value = bool | int | float | str


@dataclass(frozen=True)
class Whole:
    """An integer from `least` to `most`."""

    default: int
    least: int
    most: int

    def check(self, value: Value) -> str:
        fits = isinstance(value, int) and not isinstance(value, bool) and self.least <= value <= self.most
        return "" if fits else f"a whole number from {self.least} to {self.most}"


@dataclass(frozen=True)
class Rate:
    """A number above zero and at most `most`."""

    default: float
    most: float

    def check(self, value: Value) -> str:
        fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= self.most
        return "" if fits else f"a number above 0 and at most {self.most:g}"


@dataclass(frozen=True)
class Flag:
    """true or false."""

    default: bool

    def check(self, value: Value) -> str:
        return "" if isinstance(value, bool) else "true or false"


@dataclass(frozen=True)
class Choice:
    """One of several words; the first is the default."""

    words: tuple[str, ...]

    @property
    def default(self) -> str:
        return self.words[0]

    def check(self, value: Value) -> str:
        return "" if value in self.words else f"one of {', '.join(self.words)}"


@dataclass(frozen=True)
class MethodOptions:
    """The properties of a method.

    arguments        accepted arguments by name
    episodic         whether a batch is cut into training episodes of n_way classes with k_shot support images
    fixed_embedding  whether embeddings do not depend on the episode, so that any classifier can be used on them
    own_classifier   whether it has its own classifier instead of the nearest prototype
    """

    arguments: Mapping[str, Whole | Rate | Flag | Choice] = field(default_factory=dict)
    episodic: bool = True
    fixed_embedding: bool = True
    own_classifier: bool = True


INNER: dict[str, Whole | Rate | Flag | Choice] = {
    "steps": Whole(5, 2, 100),  # the first changes only the classifier: see kshot.methods.maml
    "test_steps": Whole(5, 1, 1000),
    "rate": Rate(0.1, 100.0),
    "batch_norm": Choice(("transductive", "support")),
}
LEARNT: dict[str, Whole | Rate | Flag | Choice] = {
    "learn_rates": Flag(default=False),
    "start": Choice(("zero", "prototypes")),
}
METHODS: dict[str, MethodOptions] = {
    "metric": MethodOptions(episodic=False, own_classifier=False),
    "prototypical": MethodOptions(
        {"distance": Choice(("squared_euclidean", "cosine")), "learn_temperature": Flag(default=False)}
    ),
    "matching": MethodOptions(
        {"full_context": Flag(default=False), "steps": Whole(5, 1, 100), "learn_temperature": Flag(default=False)}
    ),
    "siamese": MethodOptions(episodic=False),
    "relation": MethodOptions(),
    "maml": MethodOptions({**INNER, **LEARNT, "first_order": Flag(default=False)}, fixed_embedding=False),
    "anil": MethodOptions({**INNER, **LEARNT, "steps": Whole(5, 1, 100)}, fixed_embedding=False),
    "reptile": MethodOptions({**INNER, "test_steps": Whole(50, 1, 1000)}, fixed_embedding=False),
    "mann": MethodOptions(
        {
            "controller": Whole(200, 1, 10_000),
            "standardize": Flag(default=False),
            "write_values": Flag(default=False),
            "key_strength": Flag(default=False),
        }
    ),
    "transfer": MethodOptions({"classifier": Choice(("linear", "cosine"))}, episodic=False, own_classifier=False),
}


def arguments_of(method: str, given: Mapping[str, Value]) -> dict[str, Value]:
    """Every argument of `method`: the given ones, and the defaults of the others."""
    return {name: given.get(name, kind.default) for name, kind in options_of(method).arguments.items()}


def options_of(method: str) -> MethodOptions:
    """The properties of `method`: a row of METHODS, or the attribute `options` of a plug-in's class.

    Raises ParamsError for an unknown name, and for a plug-in that cannot be imported or is not a method.
    """
    plugin = plugins.find("methods", method, METHODS)
    if plugin is None:
        known = (*METHODS, *plugins.names("methods"))
        near = "".join(f"; did you mean {name}?" for name in difflib.get_close_matches(method, known, n=1))
        need(method in METHODS, f"train.method.name is {method!r}; needs one of {', '.join(known)}{near}")
        return METHODS[method]
    found = plugins.load(plugin)
    options = getattr(found, "options", None)
    need(
        isinstance(options, MethodOptions) and hasattr(found, "has_fixed_embedding"),
        f"the {plugin} is no method; needs a class of kshot.methods.method.Method with `options = MethodOptions(...)` "
        "of kshot.params.methods",
    )
    given = getattr(found, "mean_distance", None)
    need(given in MEAN_DISTANCES, f"the {plugin} has mean_distance {given!r}; needs one of {', '.join(MEAN_DISTANCES)}")
    assert isinstance(options, MethodOptions)
    declared, found_so = options.fixed_embedding, found.has_fixed_embedding
    need(declared == found_so, f"the {plugin} says options.fixed_embedding {declared}, has_fixed_embedding {found_so}")
    return options


def check_method(
    method: str, given: Mapping[str, Value], *, n_way: int | None, k_shot: int, classes: int | None, images: int
) -> None:
    """Raise ParamsError unless `method` takes these settings, for batches of classes (None: not known yet) x images."""
    options = options_of(method)
    for name, value in given.items():
        known = ", ".join(options.arguments) or "none"
        need(name in options.arguments, f"train.method.arguments.{name} is no argument of {method}; known are {known}")
        wanted = options.arguments[name].check(value)
        need(not wanted, f"train.method.arguments.{name} is {value!r}; needs {wanted}")
    if not options.episodic:
        need(n_way is None, f"train.method.n_way is {n_way}; {method} takes the whole batch: set null")
        return
    need(
        n_way is None or (n_way >= 2 and (classes is None or n_way <= classes)),
        f"train.method.n_way is {n_way} of train.batch.classes {classes}; needs 2 up to that, or null for all of them",
    )
    need(
        method == "mann" or 1 <= k_shot < images,
        f"train.method.k_shot is {k_shot} of train.batch.images {images}; "
        "needs at least 1 and must leave a query: raise images_per_class",
    )
