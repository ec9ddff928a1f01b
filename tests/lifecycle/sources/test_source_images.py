"""Sources: a tree, an archive and a manifest give the same images; files that are left out are reported."""

import gzip
import os
import tarfile
import tempfile
from pathlib import Path

import pytest

from kshot.data.folders.strays import BESIDE, IN_MASK_FOLDER
from kshot.errors import DataError
from kshot.lifecycle.data.changes import imported_images
from kshot.lifecycle.sources import source_images
from kshot.lifecycle.sources.classes import Reading
from kshot.lifecycle.sources.left_out import ARCHIVE, LeftOut, consent_needed
from kshot.lifecycle.sources.source_argument import check_argument, check_exists, check_given
from kshot.lifecycle.sources.source_images import Source, read_source
from tests.lifecycle.raw_project import files_below, image, write_tree, write_zip

CLASSES = {"Ελληνικά/άλφα": 2, "Ελληνικά/two words": 1, "한글": 1, 'quote " and, comma': 1}


def told(found: Source) -> list[tuple[str, str, str, str]]:
    return [(one.file.name, one.label, one.group, one.split) for one in found.images]


def left(found: Source) -> list[tuple[str, str]]:
    return [(one.path.as_posix(), one.reason) for one in found.left_out]


def refused(source: Path, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_source(source, source.parent / "unpacked")
    assert "\n" not in str(caught.value)


def test_a_tree_gives_classes_and_groups_by_its_folders(tmp_path: Path) -> None:
    found = read_source(write_tree(tmp_path / "tree", CLASSES), tmp_path)
    assert told(found) == [
        ("0.png", 'quote " and, comma', "", ""),
        ("0.png", "Ελληνικά/two words", "Ελληνικά", ""),
        ("0.png", "Ελληνικά/άλφα", "Ελληνικά", ""),
        ("1.png", "Ελληνικά/άλφα", "Ελληνικά", ""),
        ("0.png", "한글", "", ""),
    ]
    assert (found.files, found.left_out, found.empty, found.lines()) == (5, [], [], [])
    assert [(header.format, header.width, header.height) for header in found.headers] == [("PNG", 10, 12)] * 5


@pytest.mark.parametrize("prefix", ["", "birds/"])
def test_an_archive_gives_what_its_tree_gives_with_a_folder_around_all_or_without(tmp_path: Path, prefix: str) -> None:
    tree = write_tree(tmp_path / "tree", CLASSES)
    archive = write_zip(tmp_path / "a.zip", {f"{prefix}{name}": data for name, data in files_below(tree).items()})
    assert told(read_source(archive, tmp_path / "unpacked")) == told(read_source(tree, tmp_path))


def test_an_archive_can_have_the_names_of_the_folder_that_it_was_made_of(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"Fruit/Apple": 1, "Fruit/Kiwi": 1})
    archive = write_zip(tmp_path / "a.zip", files_below(tree))
    assert told(read_source(archive, tmp_path / "unpacked", Reading(whole_names=True))) == told(
        read_source(tree, tmp_path)
    )


def test_a_folder_inside_each_class_folder_is_no_part_of_the_names_in_a_folder_or_an_archive(tmp_path: Path) -> None:
    plain = read_source(write_tree(tmp_path / "plain", {"n00": 2, "n01": 1}), tmp_path)
    tree = write_tree(tmp_path / "tree", {"n00/images": 2, "n01/images": 1})
    archive = write_zip(tmp_path / "a.zip", {f"tiny/{name}": data for name, data in files_below(tree).items()})
    for source in (tree, archive):
        assert told(read_source(source, tmp_path / "unpacked")) == told(plain)


def test_class_folders_that_are_links_are_classes(tmp_path: Path) -> None:
    tree, linked = write_tree(tmp_path / "tree", {"a": 2, "b": 1}), tmp_path / "linked"
    linked.mkdir()
    for folder in tree.iterdir():
        (linked / folder.name).symlink_to(folder)
    assert told(read_source(linked, tmp_path)) == told(read_source(tree, tmp_path))


def test_an_image_is_one_by_its_content_and_not_by_its_name(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": 1})
    (tree / "a" / "photo.jfif").write_bytes(image("b"))
    (tree / "a" / "without ending").write_bytes(image("c"))
    (tree / "a" / "text.png").write_text("no image")
    found = read_source(tree, tmp_path)
    assert [one.file.name for one in found.images] == ["0.png", "photo.jfif", "without ending"]
    assert left(found) == [("a/text.png", "no image")]


def test_what_is_left_out_is_named_with_its_reason(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": 2, ".hidden": 1, "__MACOSX/a": 1, "phone": 1, "empty": 0})
    (tree / "phone" / "0.png").rename(tree / "phone" / "0.HEIC")
    (tree / "phone" / "0.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    (tree / "loose.png").write_bytes(image("loose"))
    (tree / "a" / "zero.png").write_bytes(b"")
    (tree / "gone").symlink_to(tmp_path / "nowhere")
    found = read_source(tree, tmp_path)
    assert dict(left(found)) == {
        ".hidden/0.png": "hidden (a name that begins with a dot)",
        "__MACOSX/a/0.png": "macOS's own files",
        "phone/0.HEIC": "HEIC, which cannot be opened here: convert it to JPEG",
        "loose.png": "in no class folder",
        "a/zero.png": "an empty file",
        "gone": "a link to nothing",
    }
    assert (found.files, len(found.images)) == (8, 2)
    assert found.empty == ["empty", "gone", "phone"]


def test_a_tar_inside_a_source_is_an_archive_and_a_pointer_of_git_lfs_one(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": 1, "b": 1})
    with tarfile.open(tree / "shard.tar", "w") as packed:
        packed.add(tree / "a", "a")
    (tree / "a" / "1.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    (tree / "a" / "1.CR2").write_bytes(b"II*\0")
    reasons = dict(left(read_source(tree, tmp_path)))
    assert reasons["shard.tar"] == ARCHIVE
    assert reasons["a/1.jpg"].startswith("a pointer of Git LFS")
    assert reasons["a/1.CR2"].startswith("a camera's raw file")


def test_annotations_of_objects_need_consent_however_few_the_files_are(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "coco", {"train2017": 12, "val2017": 8})
    (tree / "instances.json").write_text('{"images": [], "annotations": []}')
    found = read_source(tree, tmp_path)
    assert consent_needed(found.files, found.left_out, found.empty).startswith(
        "instances.json has COCO annotations: cut"
    )


def test_the_smallest_images_are_named(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": 2, "b": 1})
    (tree / "b" / "thin.png").write_bytes(image("thin", 500, 1))
    found = source_images.decoded(read_source(tree, tmp_path), tree)
    assert "1 of the images have a side under 8 pixels, such as b/thin.png" in found.notes


def test_empty_classes_are_named_up_to_a_number(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": 1, **{f"none{number:03}": 0 for number in range(100)}})
    assert len(read_source(tree, tmp_path).lines()) < 10


def test_masks_and_a_cover_beside_class_folders_are_left_out_and_named(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {f"g/{name}/{part}": 2 for name in "ab" for part in ("images", "masks")})
    (tree / "g" / "cover.png").write_bytes(image("cover"))
    found = read_source(tree, tmp_path)
    assert told(found) == [(f"{number}.png", f"g/{name}", "g", "") for name in "ab" for number in range(2)]
    assert found.empty == []
    assert dict(left(found)) == {
        **{f"g/{name}/masks/{number}.png": IN_MASK_FOLDER for name in "ab" for number in range(2)},
        "g/cover.png": BESIDE,
    }


def test_an_images_whole_is_decoded_where_its_header_is_sound(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": 2, "b": 1})
    for name in ("a/0.png", "b/0.png"):
        (tree / name).write_bytes(image("cut", 100, 100)[:2000])
    found = read_source(tree, tmp_path)
    assert len(found.images) == 3
    whole = source_images.decoded(found, tree)
    assert told(whole) == [("1.png", "a", "", "")]
    assert left(whole) == [("a/0.png", "does not decode"), ("b/0.png", "does not decode")]
    assert whole.empty == ["b"]


def test_a_source_goes_on_without_some_of_its_images(tmp_path: Path) -> None:
    found = read_source(write_tree(tmp_path / "tree", {"a": 2, "b": 1}), tmp_path)
    rest = found.without([None, LeftOut(Path("a/1.png"), "odd"), LeftOut(Path("b/0.png"), "odd")])
    assert told(rest) == [("0.png", "a", "", "")]
    assert (rest.files, rest.empty, len(rest.headers)) == (3, ["b"], 1)


def test_a_folder_in_the_form_of_the_raw_data_is_read_by_its_manifest(tmp_path: Path) -> None:
    raw = write_tree(tmp_path / "raw" / "images", {"a": 1, "b": 2}).parent
    rows = ["path,class,group,split", "images/a/0.png,a,first,train", "images/b/0.png,b,second,test"]
    (raw / "manifest.csv").write_text("\n".join(rows))
    expected = [("0.png", "a", "first", "train"), ("0.png", "b", "second", "test")]
    found = read_source(raw, tmp_path)
    assert told(found) == expected
    assert (left(found), found.files) == ([("images/b/1.png", "not named in manifest.csv")], 3)
    packed = {f"raw/{name}": data for name, data in files_below(raw).items()}
    assert told(read_source(write_zip(tmp_path / "raw.zip", packed), tmp_path / "unpacked")) == expected


def test_a_folder_of_a_manifest_with_path_and_class_alone_and_of_images_is_read_by_it(tmp_path: Path) -> None:
    write_tree(tmp_path / "data", {"images": 2})
    (tmp_path / "data" / "manifest.csv").write_text("path,class\nimages/0.png,robin\nimages/1.png,wren\n")
    found = read_source(tmp_path / "data", tmp_path)
    assert told(found) == [("0.png", "robin", "", ""), ("1.png", "wren", "", "")]


def test_a_manifest_in_an_archive_reads_nothing_outside_of_it(tmp_path: Path) -> None:
    write_tree(tmp_path, {"secret": 1})
    rows = f"path,class,group,split\nimages/a.png,a,,\n{tmp_path}/secret/0.png,b,,\n"
    archive = write_zip(tmp_path / "a.zip", {"manifest.csv": rows.encode(), "images/a.png": image("a")})
    refused(archive, "row 3: .* leads out of the archive")


def test_another_table_named_manifest_is_no_manifest(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"images/a": 1, "images/b": 1})
    (tree / "manifest.csv").write_text("species,count\na,1\n")
    assert {one.label for one in read_source(tree, tmp_path).images} == {"images/a", "images/b"}


def test_split_folders_give_the_split(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"train/a": 1, "val/b": 1, "test/c": 1})
    found = read_source(tree, tmp_path)
    assert [(one.label, one.split) for one in found.images] == [("a", "train"), ("b", "val"), ("c", "test")]
    assert found.lines()[0].startswith("folders train/, val/, test/: different classes")


def test_without_labels_the_images_of_no_folder_are_taken_all_or_none(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "1.png").write_bytes(image("1"))
    assert told(read_source(tree, tmp_path, Reading(unlabelled=True))) == [("1.png", "", "", "")]
    write_tree(tree, {"a": 1})
    with pytest.raises(DataError, match=r"has '1.png' in no class, and others in classes"):
        read_source(tree, tmp_path, Reading(unlabelled=True))


def test_a_source_without_an_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds no image; needs class folders with images")
    refused(write_zip(tmp_path / "empty.zip", {}), "holds no image")
    refused(write_zip(tmp_path / "loose.zip", {"1.png": image("1")}), "in no class folder")
    (tmp_path / "m.csv").write_text("path,class\n")
    refused(tmp_path / "m.csv", "holds no image; needs a row for each image")
    hidden = write_tree(tmp_path / "hidden", {".a": 2, ".b": 1})
    refused(
        hidden, r"holds no image: all 3 files are left out \(hidden \(a name that begins with a dot\)\); needs class"
    )


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "nowhere does not exist; needs a folder, a .zip or .tar, a .csv or .parquet")
    for name, message in {
        "a.xlsx": "a spreadsheet; save it as .csv",
        "a.bin": "of no known kind",
        "a.txt": "a text and no table by its name; if it has the columns path,class in its first line, call it .csv",
    }.items():
        (tmp_path / name).write_bytes(b"PK\x03\x04" if name == "a.xlsx" else b"x")
        refused(tmp_path / name, message)
    with gzip.open(tmp_path / "a.csv.gz", "wb") as table:
        table.write(b"path,class\n")
    refused(tmp_path / "a.csv.gz", "a.csv.gz is a compressed table; unpack it, and give .*a.csv$")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "a device, a pipe or a socket")


def test_a_link_whose_target_is_missing_is_named_with_it(tmp_path: Path) -> None:
    (tmp_path / "photos").symlink_to("disk")
    for source in (tmp_path / "photos", tmp_path / "photos" / "birds"):
        refused(source, "photos is a link to disk, which does not exist; mend the link, or give a folder")
        with pytest.raises(DataError, match="photos is a link to disk"):
            check_exists(str(source))


def test_a_file_name_that_would_not_survive_is_refused(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": 1})
    (tree / "a" / "0.png").rename(tree / "a" / "line\nbreak.png")
    refused(tree, r"file 'line\\nbreak.png' cannot be stored as a name")


@pytest.mark.parametrize("source", ["", "  "])
def test_empty_text_is_no_source(tmp_path: Path, source: str) -> None:
    with pytest.raises(DataError, match="no source is given, only empty text"):
        check_argument(tmp_path, source)
    with pytest.raises(DataError, match="no source is given"):  # of `kshot tasks` and `kshot drift`
        imported_images.read_images(source, tmp_path / "unpacked")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("birds.rar", "an archive that cannot be opened here; unpack it and add the folder"),
        ("birds.7z", "an archive that cannot be opened here; unpack it and add the folder"),
        ("bird.XML", r"is no source: a file of XML, which is not read; if the labels are in it, write the labels as a"),
        ("birds.doc", "of no known kind; needs a folder"),
    ],
)
def test_a_file_of_another_kind_is_told_with_what_to_do_instead(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(DataError, match=told) as caught:
        read_source(tmp_path / name, tmp_path / "unpacked")
    assert "\n" not in str(caught.value)


def test_the_project_is_no_source_of_its_own(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "data/raw/images").mkdir(parents=True)
    for source in (root, tmp_path):
        with pytest.raises(DataError, match="holds this project itself"):
            check_argument(root, str(source))
    with pytest.raises(DataError, match="a part of the data version, without its manifest; add data/raw instead"):
        check_argument(root, str(root / "data/raw/images"))
    for source in (root / "data/raw", root / "photographs"):
        check_argument(root, str(source))
    check_argument(root, "glyphs")


@pytest.mark.parametrize("address", ["https://example.org/a.zip", "s3://bucket/a", "HTTP://x"])
def test_an_address_is_refused_as_one_and_whole(tmp_path: Path, address: str) -> None:
    for check in (check_given, check_exists, lambda given: check_argument(tmp_path, given)):
        with pytest.raises(DataError, match=f"^{address} is an address, and kshot downloads nothing; fetch it, then"):
            check(address)
    check_given("C:\\images")
    check_given("a:b/c")


def test_the_address_of_a_file_here_is_refused_with_its_path() -> None:
    with pytest.raises(DataError, match=r"^file:///a/b is an address; give only its path: /a/b$"):
        check_given("file:///a/b")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_file_or_folder_of_another_user_is_named(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)  # pytest's folders let nobody else through
        for closed in ("file", "folder"):
            write_tree(folder / closed, {"a": 2, "b": 2})
        (folder / "file/a/0.png").chmod(0)
        (folder / "folder/a").chmod(0)
        os.seteuid(65534)
        try:
            found = read_source(folder / "file", tmp_path)
            refused(folder / "folder", r"the folder .*/a cannot be read \(Permission denied\); make it readable")
        finally:
            os.seteuid(0)
    (lost,) = found.left_out
    assert (str(lost.path), lost.reason, lost.detail) == ("a/0.png", "cannot be read", "Permission denied")
