"""Omniglot with its drawers: python benchmarks/omniglot/lake_manifest.py omniglot.zip > omniglot/lake.csv

Prints the manifest of the images, for the folder that the archive was unpacked into: path, class, group, split as
`lake_split.py` has it, and drawer, who drew one alphabet whole.
"""

import sys
import zipfile

from lake_split import split_of

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with zipfile.ZipFile(sys.argv[1]) as archive:
        paths = sorted(name for name in archive.namelist() if name.endswith(".png"))
    print("path,class,group,split,drawer")
    for path in paths:
        name, _, file = path.rpartition("/")
        group = name.rpartition("/")[0]
        drawer = file.removesuffix(".png").rpartition("_")[2]  # 1019_05.png: the fifth of the alphabet's twenty
        print(f"{path},{name},{group},{split_of(name)},{group}/{drawer}")
