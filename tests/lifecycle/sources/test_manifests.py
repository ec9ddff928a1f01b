"""Manifests and split tables: rows become images, and invalid rows are refused by number."""

import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from kshot.errors import DataError
from kshot.lifecycle.sources.at_rest import fingerprint
from kshot.lifecycle.sources.manifests import read_manifest
from kshot.lifecycle.sources.source_image import SourceImage
from kshot.lifecycle.sources.split_tables import with_split
from tests.lifecycle.raw_project import write_tree


def manifest(folder: Path, text: str) -> Path:
    write_tree(folder, {"x": 3})
    (folder / "m.csv").write_text(text, encoding="utf-8")
    return folder / "m.csv"


def told(images: list[SourceImage]) -> list[tuple[str, str, str, str]]:
    return [(one.file.name, one.label, one.group, one.split) for one in images]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_manifest_gives_path_class_group_and_split(tmp_path: Path, suffix: str) -> None:
    write_tree(tmp_path / "pool", {"x": 3})
    table = pd.DataFrame(
        {
            "path": ["pool/x/0.png", "pool/x/1.png", str(tmp_path / "pool/x/2.png")],
            "class": ["001", "NA", "한글/two words"],
            "group": ["numbers", "", ""],
            "split": ["TRAIN", "valid", "Testing"],
        }
    )
    path = tmp_path / f"m.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path)
    assert told(read_manifest(path)[0]) == [
        ("0.png", "001", "numbers", "train"),
        ("1.png", "NA", "", "val"),
        ("2.png", "한글/two words", "한글", "test"),
    ]


def test_backslashes_of_a_path_are_slashes(tmp_path: Path) -> None:
    assert len(read_manifest(manifest(tmp_path, "path,class\nx\\0.png,a\n.\\x\\1.png,a\n"))[0]) == 2


def test_a_repeated_row_counts_once_and_is_told(tmp_path: Path) -> None:
    images, notes = read_manifest(manifest(tmp_path, "path,class\nx/0.png,a\nx/0.png,a\n"))
    assert (len(images), notes) == (1, ["1 rows of the manifest are repeated and count once, such as row 3"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,class\nx/0.png,a\nx/1.png,\n", "row 3: 'x/1.png' has no class"),
        ("path,class\n,a\n", "row 2 has no path"),
        ("path,class\nx/0.png,a\nx/9.png,a\n", "row 3: 'x/9.png' is no file; needs paths from the manifest's own"),
        ("path,class\nx/0.PNG,a\n", "row 2: 'x/0.PNG' is no file .there is '0.png', written in another case"),
        ("path,class\nnowhere/0.png,a\n", "row 2: .* is no file: there is no folder .*nowhere"),
        ("path,class\nx,a\n", "row 2: 'x' is a folder"),
        ("path,class\n1,a\n", "row 2: '1' is no file .there is 'x/1.png'.; needs paths from the manifest's own"),
        ("path,class\n/home/anna/x/1.png,a\n", "row 2: '/home/anna/x/1.png' is no file .there is 'x/1.png'"),
        ("path,class\nD:\\anna\\x\\1.png,a\n", "row 2: .* is no file .there is 'x/1.png'"),
        ("path,class\nfile:///a/x/1.png,a\n", "row 2: 'file:///a/x/1.png' is an address; needs a path: leave file://"),
        (
            f"path,class\n{'iVBORw0KGgo' * 99},a\n",
            r"'iVBORw0[^']{190,210}\.\.\.' is too long for a path; if it is an image as",
        ),
        (
            "path,ant,bee\nx/0.png,1,0\nx/1.png,0,1\n",
            r"the labels in 2 columns of 0 and 1 \(ant, bee\); needs one column",
        ),
        ("id,class,n\nx/9.png,a,1\n", "has the columns id, class, n; needs path, class"),
        ("path,class\nhttps://a.org/0.png,a\n", "row 2: 'https://a.org/0.png' is an address, and kshot downloads"),
        ("path,class\nx/0.png,../up\n", "row 2: class '../up' cannot be stored as a name"),
        (
            "path,class\nx/0.png,a/\nx/1.png,../b\n",
            "row 2: class 'a/' .*; .*row 3: class '../b' cannot .*; rename them",
        ),
        ("path,class\nx/0.png,a\nx/0.png,b\n", "row 3: 'x/0.png' stands in row 2 too, with other values"),
        ("path,class,split\nx/0.png,a,dev\n", "row 2: 'x/0.png' has the split 'dev'; needs train, val, test"),
        (
            "path,class,split\nx/0.png,a,val\nx/1.png,a,test\n",
            "'a' in two splits: row 2 says 'val', row 3 'test'",
        ),
        ("path,class,split\nx/0.png,a,val\nx/1.png,b,\n", "row 3: class 'b' has no split, and others have"),
    ],
)
def test_a_row_that_cannot_be_followed_is_named_with_the_cause(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_manifest(manifest(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_two_ways_to_one_file_are_one_image(tmp_path: Path) -> None:
    write_tree(tmp_path, {"x": 2})
    (tmp_path / "link").symlink_to("x")
    found, notes = read_manifest(manifest(tmp_path, "path,class\nx/0.png,a\nx/../x/0.png,a\nlink/0.png,a\nx/1.png,a\n"))
    assert [one.file.name for one in found] == ["0.png", "1.png"]
    assert notes == ["2 rows of the manifest are repeated and count once, such as row 3"]
    with pytest.raises(DataError, match="row 3: 'link/0.png' stands in row 2 too, with other values"):
        read_manifest(manifest(tmp_path, "path,class\nx/0.png,a\nlink/0.png,b\n"))


def test_a_path_may_lead_out_of_the_manifests_folder_but_not_out_of_an_archive(tmp_path: Path) -> None:
    write_tree(tmp_path, {"beside": 1})
    path = manifest(tmp_path / "here", "path,class\n../beside/0.png,a\n")
    assert len(read_manifest(path)[0]) == 1
    with pytest.raises(DataError, match="row 2: .* leads out of the archive"):
        read_manifest(path, inside=path.parent)


def images_of(*labels: str) -> list[SourceImage]:
    return [SourceImage(Path(f"{label}.png"), label, "", "") for label in labels]


def split_table(folder: Path, text: str) -> Path:
    (folder / "split.csv").write_text(text, encoding="utf-8")
    return folder / "split.csv"


def test_a_split_table_places_each_class(tmp_path: Path) -> None:
    table = split_table(tmp_path, "class;split\n한글;test\ntwo words;Training\n")
    found = with_split(images_of("two words", "한글", "한글"), table)
    assert [one.split for one in found] == ["train", "test", "test"]


def test_a_split_table_may_name_a_class_that_came_out_empty(tmp_path: Path) -> None:
    table = split_table(tmp_path, "class,split\nalpha,train\nphone,test\n")
    assert [one.split for one in with_split(images_of("alpha"), table, ["phone"])] == ["train"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("class,split\nalpha,train\n", "leaves out class 'beta'; needs a line for each class"),
        ("class,split\nalpha,train\nbeta,val\ngamma,test\n", "row 4 names class 'gamma'; the images have no such"),
        ("class,split\nalpha,train\nbetta,test\n", r"row 3 names class 'betta'; .*: did you mean 'beta'\?"),
        ("class,split\nalpha,train\nbeta,dev\n", "row 3 has the split 'dev'; needs train, val, test"),
        ("class,split\nalpha,train\nalpha,val\nbeta,val\n", "row 3 names class 'alpha' twice"),
        ("name,split\nalpha,train\n", "has the columns name, split; needs class, split"),
    ],
)
def test_a_split_table_that_does_not_fit_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        with_split(images_of("alpha", "beta"), split_table(tmp_path, text))


def test_a_path_with_a_zero_byte_is_named(tmp_path: Path) -> None:
    pd.DataFrame({"path": ["x\0.png"], "class": ["a"]}).to_parquet(tmp_path / "m.parquet")
    fingerprint(tmp_path / "m.parquet")
    with pytest.raises(DataError, match="row 1: .* has a zero byte, so it is no path"):
        read_manifest(tmp_path / "m.parquet")


@pytest.mark.parametrize(("written", "named"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_path_in_another_unicode_form_than_the_files_is_followed(tmp_path: Path, written: str, named: str) -> None:
    place = unicodedata.normalize(written, "Käse/é.png")
    (tmp_path / place).parent.mkdir()
    (tmp_path / place).write_bytes(b"x")
    path = unicodedata.normalize(named, "Käse/é.png")
    ((image,), _) = read_manifest(manifest(tmp_path, f"path,class\n{path},a\n"))
    assert image.file == tmp_path / place


@pytest.mark.parametrize(
    ("header", "rows", "note"),
    [
        (
            "path,class,set,camera",
            ["a/0.png,a,train,1"],
            "columns set, camera of the manifest not read; rename set to split if it is that",
        ),
        (",path,class", ["0,a/0.png,a"], ""),
        ("path,class", ["a/0.png,None", "a/1.png,b"], "1 images are of class 'None', taken as a name"),
        ("path,class", ["a/0.png,owl|wet", "a/1.png,kite|wet"], "2 class names have '|', such as 'kite|wet'"),
        ("path,class", ["a/0.png,owl|wet", "a/1.png,kite"], ""),
    ],
)
def test_what_a_table_has_and_kshot_does_not_read_is_a_note(
    tmp_path: Path, header: str, rows: list[str], note: str
) -> None:
    (tmp_path / "a").mkdir()
    for number in range(2):
        (tmp_path / f"a/{number}.png").touch()
    (tmp_path / "m.csv").write_text("\n".join([header, *rows]) + "\n")
    _, notes = read_manifest(tmp_path / "m.csv")
    assert any(note in one for one in notes) if note else not notes


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("path,class,fold", "x/0.png,a,1"),
        ("path,class,label", "x/0.png,a,a"),
        ("path,class,set,Set", "x/0.png,a,train,test"),
    ],
)
def test_a_column_that_can_be_none_of_kshots_is_not_offered_for_renaming(tmp_path: Path, header: str, row: str) -> None:
    (note,) = read_manifest(manifest(tmp_path, f"{header}\n{row}\n"))[1]
    assert note.endswith("of the manifest not read")


def test_class_names_that_differ_in_unicode_form_alone_are_one_class_and_told(tmp_path: Path) -> None:
    images, notes = read_manifest(manifest(tmp_path, "path,class\nx/0.png,\u00e9\nx/1.png,e\u0301\n"))
    assert {image.label for image in images} == {"\u00e9"}
    assert notes == ["2 names are one class, \u00e9: they differ only in Unicode form"]


@pytest.mark.parametrize(
    ("path", "told"),
    [(r"C:\Users\me\0.png", r"'C:\Users\me\0.png' is no file"), ("a/0", "there is '0.png': write the ending")],
)
def test_a_path_is_shown_as_it_is_written_and_a_missing_ending_is_named(tmp_path: Path, path: str, told: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/0.png").touch()
    (tmp_path / "m.csv").write_text(f"path,class\n{path},a\n")
    with pytest.raises(DataError) as caught:
        read_manifest(tmp_path / "m.csv")
    assert told in str(caught.value)
