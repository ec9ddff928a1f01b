"""Sources: the same pictures come out of a tree, an archive and a manifest; what is unclear is refused."""

from pathlib import Path

import pandas as pd
import pytest

from kshot.errors import DataError
from kshot.lifecycle.sources import Picture, check_name, read_source, with_split
from tests.lifecycle.raw_project import files_below, picture, write_tree, write_zip

CLASSES = {"Ελληνικά/άλφα": 2, "Ελληνικά/two words": 1, "한글": 1, 'quote " and, comma': 1}


def told(pictures: list[Picture]) -> list[tuple[str, str, str, str]]:
    return [(found.file.name, found.label, found.group, found.split) for found in pictures]


def refused(source: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_source(source, source.parent / "unpacked")
    assert "\n" not in str(caught.value)


def test_a_tree_gives_classes_and_groups_by_its_folders(tmp_path: Path) -> None:
    assert told(read_source(write_tree(tmp_path / "tree", CLASSES), tmp_path)) == [
        ("0.png", 'quote " and, comma', "", ""),
        ("0.png", "Ελληνικά/two words", "Ελληνικά", ""),
        ("0.png", "Ελληνικά/άλφα", "Ελληνικά", ""),
        ("1.png", "Ελληνικά/άλφα", "Ελληνικά", ""),
        ("0.png", "한글", "", ""),
    ]


def test_three_levels_give_a_group_of_two() -> None:
    from kshot.lifecycle.sources import group_of

    assert group_of("background/Greek/alpha") == "background/Greek"


def test_an_archive_gives_what_its_tree_gives(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", CLASSES)
    archive = write_zip(tmp_path / "a.zip", files_below(tree))
    assert told(read_source(archive, tmp_path / "unpacked")) == told(read_source(tree, tmp_path))


def test_what_is_no_picture_or_hidden_is_passed_over(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": 1, ".hidden": 1, "__MACOSX/a": 1})
    (tree / "a" / "notes.txt").write_text("not a picture")
    (tree / "a" / "._0.png").write_bytes(b"what macOS leaves")
    (tree / "README.md").write_text("not a picture")
    assert told(read_source(tree, tmp_path)) == [("0.png", "a", "", "")]


def test_a_text_named_png_is_taken_along_for_the_checks_to_find(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": 1})
    (tree / "a" / "text.PNG").write_text("not a picture")
    assert len(read_source(tree, tmp_path)) == 2


def test_names_written_in_two_ways_of_unicode_are_one_class(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"\u00e9": 1})  # é as one sign
    write_tree(tree, {"e\u0301": 1})  # é as e and an accent
    assert [found.label for found in read_source(tree, tmp_path)] == ["\u00e9", "\u00e9"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_manifest_gives_path_class_group_and_split(tmp_path: Path, suffix: str) -> None:
    write_tree(tmp_path / "pool", {"x": 3})
    table = pd.DataFrame(
        {
            "path": ["pool/x/0.png", "pool/x/1.png", str(tmp_path / "pool/x/2.png")],
            "class": ["001", "NA", "한글/two words"],
            "group": ["numbers", "", ""],
            "split": ["train", "", "test"],
        }
    )
    manifest = tmp_path / f"m.{suffix}"
    table.to_csv(manifest, index=False) if suffix == "csv" else table.to_parquet(manifest)
    assert told(read_source(manifest, tmp_path)) == [
        ("0.png", "001", "numbers", "train"),
        ("1.png", "NA", "", ""),
        ("2.png", "한글/two words", "한글", "test"),
    ]


def test_a_manifest_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    write_tree(tmp_path, {"x": 1})
    (tmp_path / "m.csv").write_text("path,class\nx/0.png,a\n", encoding="utf-8-sig")
    assert told(read_source(tmp_path / "m.csv", tmp_path)) == [("0.png", "a", "", "")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,class\nx/0.png,a\nnowhere/1.png,a\nnowhere/2.png,a\n", "nowhere/1.png' and 1 more, which is no file"),
        ("path,class\nx,a\n", "which is no file"),
        ("file,class\nx/0.png,a\n", "has the columns file, class; needs path, class"),
        ("path,class,split\nx/0.png,a,dev\n", "has the split 'dev'; needs train, val, test"),
        ("path,class,split\nx/0.png,a,val\nx/1.png,a,test\n", "class 'a' in two splits"),
        ("path,class\nx/0.png,\n", "class '' cannot be kept as a name"),
        ("path,class\nx/0.png,../up\n", "class '../up' cannot be kept as a name"),
        ("path,class\n", "holds no picture"),
        ("", "cannot be read as a table"),
        ("path,class\n\x00\xff", "cannot be read as a table|no file|cannot be kept"),
    ],
)
def test_a_manifest_that_cannot_be_followed_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write_tree(tmp_path, {"x": 2})
    (tmp_path / "m.csv").write_bytes(text.encode("latin-1"))
    refused(tmp_path / "m.csv", message)


def test_a_parquet_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"no parquet")
    refused(tmp_path / "m.parquet", "cannot be read as a table")


def test_a_source_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "nowhere does not exist; needs a folder, a .zip or .tar, a .csv or .parquet")


def test_an_empty_folder_and_an_empty_archive_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds no picture; needs class folders with files that end in .*png")
    refused(write_zip(tmp_path / "empty.zip", {}), "holds no picture")


def test_a_picture_outside_of_a_class_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "1.png").write_bytes(picture("1"))
    refused(tmp_path / "tree", "'1.png' in no folder; needs one folder a class, such as alpha/1.png")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_bytes(b"")
    refused(tmp_path / "data.xlsx", "of no known kind")


@pytest.mark.parametrize("name", ["a\nb", "tab\t", " blank", "back\\slash", "a//b", ".", "x" * 300, "\udcff"])
def test_a_name_that_would_not_survive_is_refused(name: str) -> None:
    with pytest.raises(DataError, match="cannot be kept as a name"):
        check_name("class", name)


@pytest.mark.parametrize("name", ["two words", "한글", "עברית/א", "a'b\"c,d;e", "#1", "=SUM(A1)", "NaN", "😀"])
def test_a_name_in_any_script_is_kept(name: str) -> None:
    check_name("class", name)


def test_a_file_name_that_would_not_survive_is_refused(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": 1})
    (tree / "a" / "0.png").rename(tree / "a" / "line\nbreak.png")
    refused(tree, r"file 'line\\nbreak.png' cannot be kept as a name")


def pictures_of(*labels: str) -> list[Picture]:
    return [Picture(Path(f"{label}.png"), label, "", "") for label in labels]


def split_table(folder: Path, text: str) -> Path:
    (folder / "split.csv").write_text(text, encoding="utf-8")
    return folder / "split.csv"


def test_a_split_table_places_each_class(tmp_path: Path) -> None:
    table = split_table(tmp_path, "class,split\n한글,test\ntwo words,train\n")
    assert [found.split for found in with_split(pictures_of("two words", "한글", "한글"), table)] == [
        "train",
        "test",
        "test",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,split\nalpha,train\n", "leaves out class 'beta'; needs a line for each class"),
        ("class,split\nalpha,train\nbeta,val\ngamma,test\n", "names class 'gamma'; the images have no such class"),
        ("class,split\nalpha,train\nbeta,val\nbetta,test\n", r"'betta'; .* \(the nearest is 'beta'\)"),
        ("class,split\nalpha,train\nbeta,dev\n", "has the split 'dev'; needs train, val, test"),
        ("class,split\nalpha,train\nalpha,val\nbeta,val\n", "names class 'alpha' twice"),
        ("name,split\nalpha,train\n", "has the columns name, split; needs class, split"),
    ],
)
def test_a_split_table_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        with_split(pictures_of("alpha", "beta"), split_table(tmp_path, text))


def test_a_split_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read as a table"):
        with_split(pictures_of("alpha"), tmp_path / "nowhere.csv")
