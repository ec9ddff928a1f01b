"""Lake's split of Omniglot: python benchmarks/omniglot/lake_split.py omniglot.zip > lake.csv

The characters of images_evaluation are the test classes, those of images_background are for training but for two
alphabets of it, VALIDATION, whose episodes are validated on.
"""

import sys
import zipfile

VALIDATION = ("Alphabet_of_the_Magi", "Balinese")  # of 20 and 24 characters: the least that 20 ways allow


def split_of(name: str) -> str:
    """The split of a class, such as images_background/Greek/character01."""
    part, alphabet, _ = name.split("/")
    return "test" if part == "images_evaluation" else "val" if alphabet in VALIDATION else "train"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as archive:
        classes = sorted({name.rpartition("/")[0] for name in archive.namelist() if name.endswith(".png")})
    print("class,split")
    for name in classes:
        print(f"{name},{split_of(name)}")
