"""Small edits of a finished project that can be undone: files from memory, the database from a copy."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from kshot.lifecycle.project import git
from tests.lifecycle.audited_project import DATABASE


class Planter:
    """Edits a project and remembers how it was."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.before: dict[Path, bytes | None] = {}
        self.folders: list[Path] = []
        self.refs: dict[str, str] = {}
        self.database: sqlite3.Connection | None = None

    def query(self, statement: str, *values: object) -> Any:
        """The first row that the statement finds."""
        with closing(sqlite3.connect(self.root / DATABASE)) as database:
            return database.execute(statement, values).fetchone()

    def sql(self, statement: str, *values: object) -> None:
        """Change MLflow's database; at least one row must change."""
        with closing(sqlite3.connect(self.root / DATABASE)) as database:
            if self.database is None:
                self.database = sqlite3.connect(":memory:")
                database.backup(self.database)
            assert database.execute(statement, values).rowcount > 0, statement
            database.commit()

    def edit(self, path: Path, change: Callable[[bytes], bytes]) -> None:
        """Replace the content of a file; it must become another."""
        content = path.read_bytes()
        self.before.setdefault(path, content)
        changed = change(content)
        assert changed != content
        path.chmod(0o644)  # DVC's cache is read-only
        path.write_bytes(changed)

    def replace(self, path: Path, old: str, new: str) -> None:
        """Replace a text in a file."""
        self.edit(path, lambda content: content.replace(old.encode(), new.encode()))

    def append(self, path: Path, text: str = "# one more line\n") -> None:
        """Append a text to a file."""
        self.edit(path, lambda content: content + text.encode())

    def flip(self, path: Path) -> None:
        """Flip one bit of the last byte of a file."""
        self.edit(path, lambda content: content[:-1] + bytes([content[-1] ^ 1]))

    def add(self, path: Path, text: str = "x") -> None:
        """Make a new file."""
        assert not path.exists()
        self.before[path] = None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        self.before.setdefault(path, path.read_bytes())
        path.unlink()

    def copy(self, folder: Path, place: Path) -> Path:
        """Copy a folder."""
        shutil.copytree(folder, place)
        self.folders.append(place)
        return place

    def ref(self, name: str, commit: str) -> None:
        """Let a ref of git name another commit; '' deletes it."""
        self.refs.setdefault(name, git.text(self.root, "rev-parse", "--verify", "--quiet", name, fine=(0, 1)).strip())
        self._set(name, commit)

    def undo(self) -> None:
        """Put everything back."""
        for path, content in self.before.items():
            if content is None:
                if path.exists():
                    path.unlink()
            else:
                if path.is_dir():
                    shutil.rmtree(path)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)
        for name, commit in self.refs.items():
            self._set(name, commit)
        if self.database is not None:
            # Into the file that MLflow holds open, not instead of it.
            with closing(sqlite3.connect(self.root / DATABASE)) as now:
                self.database.backup(now)
            self.database.close()

    def _set(self, name: str, commit: str) -> None:
        git.run(self.root, "update-ref", *([name, commit] if commit else ["-d", name]))


@contextmanager
def planter(root: Path) -> Iterator[Planter]:
    """A planter whose edits are undone after the block."""
    found = Planter(root)
    try:
        yield found
    finally:
        found.undo()
