"""Reads a source that a person imports (a folder tree, an archive, or a manifest) as one list of images."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from kshot.data.folders.strays import mask_folders, strays
from kshot.data.folders.system_files import written_by
from kshot.data.image_formats import Header, image_endings
from kshot.errors import DataError
from kshot.lifecycle.source_files.archives import is_archive, unpack
from kshot.lifecycle.source_files.shown_names import printable, quoted
from kshot.lifecycle.source_files.tables import TABLES, is_compressed, read_rows
from kshot.lifecycle.sources import left_out
from kshot.lifecycle.sources.annotations import ARRAYS, ENDINGS, annotations
from kshot.lifecycle.sources.classes import AS_IT_IS, Reading, classes_of
from kshot.lifecycle.sources.image_check import NO_IMAGE, Problem, check_decoding, check_headers, header_notes
from kshot.lifecycle.sources.image_tables import image_tables, unpack_tables
from kshot.lifecycle.sources.labels_beside import labels_beside
from kshot.lifecycle.sources.labels_elsewhere import labels_elsewhere
from kshot.lifecycle.sources.left_out import ARCHIVE, LeftOut, filled
from kshot.lifecycle.sources.manifests import read_manifest
from kshot.lifecycle.sources.source_argument import NEEDED, check_there
from kshot.lifecycle.sources.source_image import SourceImage, check_names, group_of
from kshot.lifecycle.sources.tree import Tree, walk

MANIFEST = "manifest.csv"  # next to images/: the layout of data/raw
SMALL = 8  # pixels; an image with a shorter side can hardly show what it is of
NO_HEADER = Header("", "", 0, 0, False)
SPREADSHEETS = (".xlsx", ".xls", ".ods", ".numbers")
TEXTS = (".txt", ".lst", ".list", ".dat")
OTHER_ARCHIVES = (".rar", ".7z", ".zst")


@dataclass(frozen=True)
class Source:
    """The content of a source.

    images    sorted by class and name
    files     number of files, including an operating system's
    left_out  files that are not used, and why
    empty     classes of which no image is left
    headers   one per image
    notes     notes for a person on how the source was read
    """

    images: list[SourceImage]
    files: int
    left_out: list[LeftOut] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def without(self, lost: Sequence[LeftOut | None]) -> "Source":
        """A copy without the images for which `lost`, in the same order, gives a reason."""
        readable = [row for row, reason in enumerate(lost) if reason is None]
        images = [self.images[row] for row in readable]
        gone = {image.label for image in self.images} - {image.label for image in images} - {""}
        return replace(
            self,
            images=images,
            headers=[self.headers[row] for row in readable],
            left_out=[*self.left_out, *(reason for reason in lost if reason is not None)],
            empty=sorted({*self.empty, *gone}),
        )

    def lines(self) -> list[str]:
        """The files left out, and the notes, as lines for a terminal."""
        notes = [line for note in [*self.notes, *header_notes(self.headers)] for line in filled(note)]
        return [*left_out.lines(self.files, self.left_out, self.empty), *notes]


def read_source(source: Path, workspace: Path, reading: Reading = AS_IT_IS) -> Source:
    """The images of a folder, an archive or tables of images (unpacked into `workspace`) or a manifest, and the files
    left out.

    A file is an image by its header, whatever its name. Its class is the folders above it, joined by /, without the
    folders that wrap a whole archive and without folders named train, val and test (`classes_of`, `split_folders`); its
    group is the class without its last part. A folder with manifest.csv and images/, the layout of data/raw, is read by
    its manifest. Of a source that is read unlabelled, all images have a class or none. Raises DataError for a source
    that is missing, has no image, is of no known kind, or whose classes cannot be determined.
    """
    check_there(source)
    if not source.is_dir() and not source.is_file():
        raise DataError(f"{source} is a device, a pipe or a socket; needs {NEEDED}")
    if source.is_dir():
        with labels_elsewhere(source):
            found = _read_folder(source, False, reading, workspace)
    elif image_tables([source]):
        images, notes = unpack_tables([source], workspace, unlabelled=reading.unlabelled)
        found = _with_headers(images, workspace, len(images), [], notes)
    elif source.suffix.lower() in TABLES or is_compressed(source):
        images, notes = read_manifest(source, unlabelled=reading.unlabelled)
        found = _with_headers(images, source.parent, len(images), [], notes)
    elif source.suffix.lower() in SPREADSHEETS:
        raise DataError(f"{source} is a spreadsheet; save it as .csv")
    elif source.suffix.lower() not in ARRAYS and is_archive(source):
        notes = unpack(source, workspace)
        found = _read_folder(workspace, True, reading, workspace / "tables")
        found = replace(found, notes=[*notes, *found.notes])
    else:
        raise DataError(f"{source} is {_kind_of(source)}")
    with labels_elsewhere(source if source.is_dir() else workspace, packed=not source.is_dir()):
        _refuse(source, found, reading.unlabelled)
    order = sorted(range(len(found.images)), key=lambda row: (found.images[row].label, str(found.images[row].file)))
    return replace(found, images=[found.images[row] for row in order], headers=[found.headers[row] for row in order])


def _kind_of(file: Path) -> str:
    """The kind of a file that is no source, by its ending or content, and the remedy."""
    if text := annotations(file):
        return f"no source: {text}"
    header = check_headers([file])[0]
    if isinstance(header, Header):
        return "one image; needs the folder of the class folders, one folder a class"
    if header.reason == ARCHIVE or file.suffix.lower() in OTHER_ARCHIVES:
        return "an archive that cannot be opened here; unpack it and add the folder"
    if file.suffix.lower() in TEXTS:
        return "a text and no table by its name; if it has the columns path,class in its first line, call it .csv"
    return f"of no known kind; needs {NEEDED}"


def decoded(source: Source, folder: Path) -> Source:
    """The source without the images that do not decode; the larger images of a large source are not tried.

    Paths in messages are relative to `folder`.
    """
    files = [image.file for image in source.images]
    found = check_decoding(files, source.headers)
    lost = [
        LeftOut(_below(file, folder), problem.reason, problem.detail) if problem is not None else None
        for file, problem in zip(files, found.problems, strict=True)
    ]
    notes = list(source.notes)
    if found.tried < len(files):
        notes.append(
            f"{found.tried:,} of {len(files):,} images were decoded completely, of the larger ones only the header"
        )
    small = [file for file, one in zip(files, source.headers, strict=True) if min(one.width, one.height) < SMALL]
    if small:
        example = printable(_below(min(small), folder).as_posix())
        notes.append(f"{len(small):,} of the images have a side under {SMALL} pixels, such as {example}")
    if found.flat:
        example = printable(_below(found.flat[0], folder).as_posix())
        notes.append(f"next to nothing is to be seen in {len(found.flat):,} of the images, such as {example}")
    return replace(source, notes=notes).without(lost)


def _refuse(source: Path, found: Source, unlabelled: bool) -> None:
    """Raise DataError for a source that cannot be used."""
    if not found.images:
        why = left_out.consent_needed(found.files, found.left_out, found.empty)
        if not why and found.left_out:  # a system's own files alone, which need no consent
            why = f"all {found.files:,} files are left out ({found.left_out[0].reason})"
        needed = "a row for each image" if source.suffix.lower() in TABLES else "class folders with images"
        raise DataError(f"{source} holds no image{': ' if why else ''}{why}; needs {needed}")
    labels = sorted({image.label for image in found.images if image.label or not unlabelled})
    check_names(chain((("class", label) for label in labels), (("file", image.file.name) for image in found.images)))
    without = [image for image in found.images if not image.label]
    if 0 < len(without) < len(found.images):
        raise DataError(
            f"{source} has {quoted(without[0].file.name)} in no class, and others in classes; "
            "needs all images in classes, or none"
        )


def _read_folder(folder: Path, packed: bool, reading: Reading, workspace: Path) -> Source:
    tree = walk(folder)
    files = len(tree.files) + len(tree.left_out)
    manifest = _own_manifest(folder, packed)
    if manifest is not None:
        images, notes = read_manifest(manifest, unlabelled=reading.unlabelled, inside=folder if packed else None)
        named = {manifest.relative_to(folder), *(_below(image.file, folder) for image in images)}
        rest = [LeftOut(path, f"not named in {MANIFEST}") for path in tree.files if path not in named]
        return _with_headers(images, folder, files - 1, [*tree.left_out, *rest], notes)
    no_image = not any(path.suffix.lower() in image_endings() for path in tree.files)
    if no_image and (tables := image_tables([folder / path for path in tree.files])):
        images, notes = unpack_tables(tables, workspace, unlabelled=reading.unlabelled)
        rest = [LeftOut(path, "beside tables of images") for path in tree.files if folder / path not in tables]
        return _with_headers(images, workspace, len(images) + len(rest), [*tree.left_out, *rest], notes)
    if not reading.unlabelled and (labelled := labels_beside(folder, tree.files)):
        rest = [LeftOut(path, f"not named in {labelled.by}") for path in tree.files if path not in labelled.used]
        files -= len(labelled.used) - len(labelled.images)
        return _with_headers(labelled.images, folder, files, [*tree.left_out, *rest], labelled.notes)
    unknown = [SourceImage(folder / path, "", "", "") for path in tree.files]
    found = _with_headers(unknown, folder, files, tree.left_out, [])
    if not reading.unlabelled:
        inside = [image.file.parent != folder for image in found.images]
        loose = [LeftOut(Path(image.file.name), "in no class folder") for image in found.images]
        found = found.without([None if below else one for below, one in zip(inside, loose, strict=True)])
    paths = [_below(image.file, folder) for image in found.images]
    odd, meant = strays(paths), _meant_as_classes(tree, found.left_out, paths)
    found = found.without([LeftOut(path, odd[path]) if path in odd else None for path in paths])
    paths = [path for path in paths if path not in odd]
    classes = classes_of(paths, meant, packed=packed and not reading.whole_names, reading=reading)
    images = [
        replace(image, label=label, group=group_of(label), split=classes.splits.get(label, ""))
        for image, label in zip(found.images, classes.labels, strict=True)
    ]
    return replace(found, images=images, empty=classes.empty, notes=[*found.notes, *classes.notes])


def _meant_as_classes(tree: Tree, lost: Sequence[LeftOut], images: Sequence[Path]) -> list[Path]:
    """The folders that may be meant as classes, so that one without an image is an empty class.

    A folder without subfolders, and one with a file that is left out other than as no image; none of masks, and none
    that has annotations alone.
    """
    masks, annotated = mask_folders(images), {path.parent for path in tree.files}
    annotated -= {path.parent for path in tree.files if path.suffix.lower() not in (*ENDINGS, ".txt")}
    with_lost = {one.path.parent for one in lost if one.counts and one.reason != NO_IMAGE}
    return sorted(
        folder for folder in {*tree.leaves, *with_lost} - annotated if masks.isdisjoint((folder, *folder.parents))
    )


def _with_headers(images: list[SourceImage], folder: Path, files: int, out: list[LeftOut], notes: list[str]) -> Source:
    """A source of those `images` whose headers are valid; the others are added to the files left out, `out`."""
    headers = check_headers([image.file for image in images])
    known = [one if isinstance(one, Header) else NO_HEADER for one in headers]
    lost = [
        LeftOut(_below(image.file, folder), one.reason, one.detail) if isinstance(one, Problem) else None
        for image, one in zip(images, headers, strict=True)
    ]
    return Source(images, files, out, headers=known, notes=notes).without(lost)


def _own_manifest(folder: Path, packed: bool) -> Path | None:
    """The manifest of a folder in data/raw's layout, also inside the one folder that wraps an archive."""
    places = [folder]
    if packed:
        inner = [path for path in folder.iterdir() if not written_by(path.name)]
        places += inner if len(inner) == 1 else []
    for place in places:
        manifest = place / MANIFEST
        if manifest.is_file() and (place / "images").is_dir():
            try:
                read_rows(manifest, ("path", "class"))
            except DataError:
                return None  # some other table: the folders determine the classes
            return manifest
    return None


def _below(file: Path, folder: Path) -> Path:
    return file.relative_to(folder) if file.is_relative_to(folder) else file
