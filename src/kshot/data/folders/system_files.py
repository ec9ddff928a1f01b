"""The names of files and folders that an operating system or a NAS keeps for itself, never a person's images."""

MAC = ("__macosx", ".ds_store", ".appledouble", ".spotlight-v100", ".fseventsd", ".trashes", "icon\r")
WINDOWS = ("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information")
NAS = ("@eadir", "#recycle", "#snapshot", "@recycle", ".@__thumb", "@recently-snapshot", "lost+found")


def written_by(name: str) -> str:
    """Why a file or folder with this name is left out as a system's own; '' if it is not."""
    low = name.casefold()
    if low in NAS:
        return "thumbnails or snapshots of a NAS"
    if low in MAC or low.startswith("._"):
        return "macOS's own files"
    if low in WINDOWS:
        return "Windows's own files"
    return "hidden (a name that begins with a dot)" if low.startswith(".") else ""
