"""Names of files and classes as a terminal can show them."""


def shown(name: str) -> str:
    """The name with what no terminal prints, or what would move its cursor, written as an escape."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape", "replace").decode() for sign in name)
