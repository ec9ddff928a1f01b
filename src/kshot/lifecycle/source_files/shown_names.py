"""Makes names of files and classes safe to show on a terminal."""


def printable(name: str) -> str:
    """The name with characters that a terminal cannot print, or that would move its cursor, written as escapes."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape", "replace").decode() for sign in name)


def quoted(name: str) -> str:
    """The printable name in quotes; its backslashes stand once, as in a path of Windows."""
    return f"'{printable(name)}'"
