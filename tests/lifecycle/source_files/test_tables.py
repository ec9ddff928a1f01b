"""Tables as people save them: any separator, byte order mark or parquet type; an error names row and cause."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kshot.errors import DataError
from kshot.lifecycle.source_files.tables import read_rows

NEEDED = ("path", "class")


def rows(path: Path) -> list[tuple[int, str, str]]:
    return [(row.number, row.values["path"], row.values["class"]) for row in read_rows(path, NEEDED)]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path,class\nx/0.png,01\n", "utf-8"),
        ("path,class\nx/0.png,01\n", "utf-8-sig"),
        ("path, class\nx/0.png, 01\n", "utf-8"),
        ('path, class\n"x/0.png", "01"\n', "utf-8"),
        ("path;class\r\nx/0.png;01\r\n", "utf-8"),
        ("path\tclass\nx/0.png\t01\n", "utf-16"),
        ("path|class\nx/0.png|01", "utf-8"),
        ("path,class,\nx/0.png,01,\n", "utf-8"),
        ("path,class\nx/0.png,01,\n\n", "utf-8"),
        ("Path ,CLASS\nx/0.png,01\n", "utf-8"),
        ("note,class,path\n,01,x/0.png\n", "utf-8"),
    ],
)
def test_a_csv_is_read_however_it_was_saved(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "m.csv").write_bytes(text.encode(encoding))
    assert rows(tmp_path / "m.csv") == [(2, "x/0.png", "01")]


def test_excels_line_for_the_separator_counts_as_a_line(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("sep=;\npath;class\nx/0.png;a,b\n")
    assert rows(tmp_path / "m.csv") == [(3, "x/0.png", "a,b")]


def test_a_row_bears_the_number_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,class\nx,a\n\ny\n,b\n")
    assert rows(tmp_path / "m.csv") == [(2, "x", "a"), (4, "y", ""), (5, "", "b")]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], ["1", "2"]),
        ([1.0, None], ["1", ""]),
        (pd.array([1, None], dtype="Int64"), ["1", ""]),
        (pd.Categorical(["a", None]), ["a", ""]),
        (["01", None], ["01", ""]),
        ([b"a", b"b"], ["a", "b"]),
    ],
)
def test_a_parquet_column_of_any_type_is_text(tmp_path: Path, values: Any, expected: list[str]) -> None:
    quality = pd.array([None, 1], dtype="Int64")
    table = pd.DataFrame({"path": ["x", "y"], "class": pd.Series(values), "quality": quality})
    table.to_parquet(tmp_path / "m.parquet")
    assert [row[2] for row in rows(tmp_path / "m.parquet")] == expected


@pytest.mark.parametrize(
    ("value", "shown"), [(["a", "b"], r"\['a' 'b'\]"), ({"name": "a"}, r"{'name': 'a'}")], ids=["list", "struct"]
)
def test_a_parquet_column_of_several_values_a_row_is_refused(tmp_path: Path, value: Any, shown: str) -> None:
    pd.DataFrame({"path": ["0.png"], "class": [value]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=f"column class: it holds {shown}, where one value a row is needed"):
        read_rows(tmp_path / "t.parquet", ("path", "class"))


def test_columns_of_a_parquet_file_have_no_first_line(tmp_path: Path) -> None:
    pd.DataFrame({"image": ["x"], "label": [0]}).to_parquet(tmp_path / "m.parquet")
    with pytest.raises(DataError, match="has the columns image, label; needs path, class: rename image to path"):
        rows(tmp_path / "m.parquet")


@pytest.mark.parametrize("image", [b"\x89PNG", {"bytes": b"\x89PNG", "path": "0.png"}], ids=["bytes", "struct"])
def test_a_parquet_file_of_images_is_refused_with_what_to_do(tmp_path: Path, image: Any) -> None:
    pd.DataFrame({"image": [image], "label": [0]}).to_parquet(tmp_path / "m.parquet")
    with pytest.raises(DataError, match=r"holds the images themselves .column image.: add that table as the source"):
        rows(tmp_path / "m.parquet")


def test_a_column_that_pandas_made_the_index_is_a_column(tmp_path: Path) -> None:
    pd.DataFrame({"path": ["x"], "class": ["a"]}).set_index("path").to_parquet(tmp_path / "m.parquet")
    assert rows(tmp_path / "m.parquet") == [(1, "x", "a")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"file,class\nx,a\n", "has the columns file, class; needs path, class, .* first line: rename file to path$"),
        (b"Filename,Label\nx,a\n", "first line: rename Filename to path, Label to class$"),
        (b"key,kind\nx,a\n", "needs path, class, named in its first line$"),
        (b"path,class\nx,a, red\n", "row 2: 3 values for 2 columns; .* in double quotes"),
        (b'path,class\nx,a\ny,"b"c\n', "row 3: .*; mend the quotes there"),
        ("path,class\nx,a\ny,ä\n".encode("cp1252"), "row 3: no valid utf-8; save the table as CSV in UTF-8"),
        (b"", "cannot be read as a table .it has no header line.; needs the columns path, class"),
        (b"path,class\n\0", "it holds zero bytes"),
        (b"path,class,class\nx,a,b\n", "has the column class twice; needs each once"),
        (b"path,Class,CLASS\nx,a,b\n", "has the column class twice; needs each once"),
    ],
)
def test_a_csv_that_cannot_be_read_is_refused_with_row_and_cause(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        rows(tmp_path / "m.csv")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["m.parquet", "nowhere.csv", "."])
def test_what_is_no_table_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "m.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="cannot be read as a table"):
        rows(tmp_path / name)
