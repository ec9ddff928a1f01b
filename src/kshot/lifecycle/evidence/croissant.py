"""Croissant 1.0 metadata (JSON-LD, MLCommons) of a data version: counts, classes and hashes, and no image."""

import hashlib
from typing import Any

from kshot.lifecycle.data.cached_images import CachedImage
from kshot.lifecycle.data.data_versions import DataVersion

CONFORMS = "http://mlcommons.org/croissant/1.0"
UNKNOWN = "not recorded"
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(
    project: str, md5: str, images: list[CachedImage], table: bytes, known: DataVersion | None
) -> dict[str, Any]:
    """The metadata of the data version `md5`. `table`: its manifest.csv; `known`: its line in the ledger, if any."""
    classes: dict[str, int] = {}
    for image in images:
        classes[image.label] = classes.get(image.label, 0) + 1
    endings = sorted({image.path.rpartition(".")[2].lower() for image in images})
    source = known.source if known else UNKNOWN
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": f"{project}-{md5[:8]}",
        "description": (
            f"{len(images)} images of {len(classes)} classes, data version {md5} of the project {project}, added from "
            f"{source}. The hashes of all files are in listings/{md5}.json."
        ),
        "version": md5,
        "url": f"urn:dvc:md5:{md5}.dir",
        "license": UNKNOWN,
        "creator": {"@type": "sc:Organization", "name": UNKNOWN},
        **({"datePublished": known.added[:10]} if known and known.added else {}),
        "isLiveDataset": False,
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "manifest.csv",
                "name": "manifest.csv",
                "description": "path, class, group and split of each image",
                "contentUrl": "manifest.csv",
                "encodingFormat": "text/csv",
                "contentSize": f"{len(table)} B",
                "sha256": hashlib.sha256(table).hexdigest(),
                "md5": hashlib.md5(table, usedforsecurity=False).hexdigest(),
            },
            {
                "@type": "cr:FileSet",
                "@id": "images",
                "name": "images",
                "description": "the images, which are not part of this folder",
                "encodingFormat": [f"image/{'jpeg' if one == 'jpg' else one}" for one in endings],
                "includes": "images/**",
            },
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "classes",
                "name": "classes",
                "description": "each class with its number of images",
                "field": [_field("classes", "name", "sc:Text"), _field("classes", "images", "sc:Integer")],
                "data": [{"classes/name": name, "classes/images": classes[name]} for name in sorted(classes)],
            },
            {
                "@type": "cr:RecordSet",
                "@id": "table",
                "name": "table",
                "description": "the rows of manifest.csv",
                "field": [
                    {**_field("table", column, "sc:Text"), "source": _column(column)}
                    for column in ("path", "class", "group", "split")
                ],
            },
        ],
    }


def _field(record_set: str, name: str, kind: str) -> dict[str, str]:
    return {"@type": "cr:Field", "@id": f"{record_set}/{name}", "name": name, "dataType": kind}


def _column(name: str) -> dict[str, Any]:
    return {"fileObject": {"@id": "manifest.csv"}, "extract": {"column": name}}
