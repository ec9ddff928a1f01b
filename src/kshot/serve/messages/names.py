"""Names of galleries, classes and keys: text that survives as a path, in JSON, in CSV and on a terminal."""

import unicodedata

from kshot.serve.messages.refusals import Refused

LONGEST = 200  # characters
JOINERS = "\u200c\u200d"  # Persian, Hindi and others are written with them
# Control signs, halves of pairs, unassigned, private, line separators, and signs that change the reading direction.
REFUSED = ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")


def normal(name: str) -> str:
    """The name in Unicode's composed form: macOS sends é as e plus an accent."""
    return unicodedata.normalize("NFC", name)


def check_name(kind: str, name: str, longest: int = LONGEST) -> str:
    """Return a class's or key's name in its normal form. Raises Refused.

    A class name may have parts, script/letter: it is a path in an export.
    """
    name = normal(name)
    if len(name) > longest:
        raise _bad(kind, f"has {len(name):,} characters; needs at most {longest}")
    signs = [sign for sign in name if unicodedata.category(sign) in REFUSED and sign not in JOINERS]
    if signs:
        raise _bad(kind, f"holds the sign U+{ord(signs[0]):04X}, which is not printed; needs text without such signs")
    parts = name.split("/")
    if "\\" in name or any(part in ("", ".", "..") or part != part.strip() for part in parts):
        raise _bad(
            kind, f"is {name!r}; needs text without backslashes, empty parts, '.', '..' or blanks at the ends of a part"
        )
    if any(len(part.encode()) > LONGEST for part in parts):
        raise _bad(
            kind, f"has a part of more than {LONGEST} bytes; needs shorter parts, because an export has a folder each"
        )
    return name


def check_gallery_name(name: str, longest: int = LONGEST) -> str:
    """As `check_name`, for one path segment of an address. Raises Refused."""
    name = check_name("gallery", name, longest)
    if "/" in name:
        raise _bad("gallery", f"is {name!r}; needs a name without '/'")
    return name


def _bad(kind: str, what: str) -> Refused:
    return Refused(422, "bad_name", f"the name of the {kind} {what}")
