"""Keys of clients, with the scope ask, teach or admin. A key is shown once; the store has only its sha256."""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from kshot.errors import KshotError
from kshot.serve.messages.names import check_name
from kshot.serve.store import tables
from kshot.serve.store.database import Database, now
from kshot.serve.store.gallery_store import GalleryStore

SCOPES = ("ask", "teach", "admin")  # each includes those before it
PREFIX = "kshot_"
_K = tables.KEYS.c
_VALID = select(_K.name, _K.scope, _K.created, _K.revoked).where(_K.sha256 == bindparam("sha256"), _K.revoked.is_(None))


@dataclass(frozen=True)
class Key:
    """A key without its secret; `revoked` is None for one that is valid."""

    name: str
    scope: str
    created: str
    revoked: str | None


def add(store: GalleryStore, name: str, scope: str) -> str:
    """Make a key and return it. Raises KshotError for a name that was used before and an unknown scope."""
    if scope not in SCOPES:
        raise KshotError(f"there is no scope {scope!r}; needs one of {', '.join(SCOPES)}")
    check_name("key", name, 100)
    # 32 random bytes cannot be guessed, so a slow hash, as for passwords, would protect nothing.
    key = PREFIX + secrets.token_urlsafe(32)
    with store.database.writing() as connection:
        if connection.scalar(select(_K.name).where(_K.name == name)) is not None:
            raise KshotError(f"there is or was a key {name!r}; choose another name, so that logs stay clear")
        values = {"name": name, "sha256": digest(key), "scope": scope, "created": now()}
        connection.execute(insert(tables.KEYS).values(**values))
    return key


def listed(connection: Connection) -> list[Key]:
    """Every key by its time, revoked ones included."""
    rows = connection.execute(select(_K.name, _K.scope, _K.created, _K.revoked).order_by(_K.created))
    return [Key(*row) for row in rows]


def revoke(store: GalleryStore, name: str) -> None:
    """From now on refuse a key. Raises KshotError for an unknown name."""
    with store.database.writing() as connection:
        changed = connection.execute(
            update(tables.KEYS).where(_K.name == name, _K.revoked.is_(None)).values(revoked=now())
        )
        if changed.rowcount == 0:
            known = ", ".join(key.name for key in listed(connection) if key.revoked is None) or "none"
            raise KshotError(f"there is no valid key {name!r}; the valid keys are: {known}")


def find(database: Database, key: str) -> Key | None:
    """The key with this text; None if it is unknown or revoked. Raises Refused if the database does not answer."""
    row = database.row(_VALID, sha256=digest(key))
    return None if row is None else Key(*row)


def digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
