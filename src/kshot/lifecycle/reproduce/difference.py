"""Finds differences from the original run: in the inputs of the stages, and in the environment they run in."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kshot.errors import NotReproduced
from kshot.lifecycle.audit.links import code
from kshot.lifecycle.audit.subject import Subject
from kshot.lifecycle.data.dvc_cache import folder_md5
from kshot.lifecycle.pipeline import graph
from kshot.lifecycle.project import layout
from kshot.lifecycle.project.files import file_md5
from kshot.lifecycle.tracking import code_closure, installed, lineage, plugin_code
from kshot.lifecycle.tracking.code_closure import PACKAGE
from kshot.load_yaml import load_yaml
from kshot.params import engine
from kshot.params.renamed import at
from kshot.redaction import redacted

NOTHING = "nothing"
UNKNOWN = "not recorded"
FIRST = ("torch", "numpy", "timm", "torchvision", "scipy", "scikit-learn", "pillow")  # packages that are listed first
NO_MATTER = ("kshot", "pip", "uv")  # code is compared by file; installers do not affect results
ASK = "import json; from kshot.lifecycle.tracking import lineage; print(json.dumps(lineage.environment()))"
PLACE = "import sysconfig; print(sysconfig.get_path('purelib'))"
INSTALLED = (installed.WHEEL, installed.EDITED)


@dataclass(frozen=True)
class Difference:
    """One thing that was `there`, where the version was trained, and is different `here`."""

    what: str
    there: str
    here: str

    def __str__(self) -> str:
        return f"{self.what}: {self.there} there, {self.here} here"


def inputs(
    subject: Subject, tree: Path, package: Path | None = None, packages: Path | None = None
) -> tuple[Difference, ...]:
    """Code, settings and data in `tree` that differ from the stages' inputs in dvc.lock; () if all agree.

    `package`: the folder that kshot is imported from; None: that of `tree` or, if it has none, the one in use.
    `packages`: the folder that plug-ins are imported from; None: the ones in use.
    """
    found = []
    for name, md5 in sorted(code.recorded(subject).items()):
        path = _place(tree, name, package, packages)
        here = file_md5(path)[:8] if path.exists() else NOTHING
        if here != md5[:8]:
            found.append(Difference(name, md5[:8], here))
    settings_now = load_yaml((tree / "params.yaml").read_text(encoding="utf-8"))
    for stage in subject.lock.values():
        for key, value in stage.get("params", {}).get("params.yaml", {}).items():
            found += [Difference(*pair) for pair in _values(key, value, at(settings_now, key))]
    raw = tree / layout.RAW
    names = [path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()]
    recorded, here = str(subject.input(layout.RAW.as_posix())["md5"]), folder_md5(raw, names)
    if here != recorded:
        found.append(Difference(layout.RAW.as_posix(), recorded[:8], here[:8]))
    return tuple(dict.fromkeys(found))


def _place(tree: Path, name: str, package: Path | None, packages: Path | None) -> Path:
    """The file that a stage in `tree` reads for `name` of `code.recorded`; it may exist only as an installed file."""
    if code.is_packaged(name):
        clone = tree / code.in_project(PACKAGE)
        return (package or (clone.parent if clone.is_dir() else code_closure.folders(tree)[0])) / name
    if distribution := plugin_code.distribution_of(name):
        file = name.partition(plugin_code.BETWEEN)[2]
        if packages is not None:
            return packages / file
        return plugin_code.installed_files(distribution, [file]).get(file, tree / NOTHING / file)
    return tree / code.in_project(name)


def surroundings(there: dict[str, Any], here: dict[str, Any], devices: tuple[str, str]) -> tuple[Difference, ...]:
    """Differences of the two environments (`lineage.environment`) and of the `devices` (there, here) that may affect
    results; () on the same kind of machine."""
    pairs = [
        ("device", *devices),
        ("processor", there.get("processor") or UNKNOWN, here.get("processor") or UNKNOWN),
        ("machine", there.get("machine", UNKNOWN), here["machine"]),
        ("system", _system(there.get("system", UNKNOWN)), _system(here["system"])),
        ("threads", _threads(there), _threads(here)),
        ("Python", there.get("python", UNKNOWN), here["python"]),
    ]
    if any(device.startswith("cuda") for device in devices):
        pairs.append(("accelerators", _listed(there), _listed(here)))
    ours, theirs = (_packages(one) for one in (there, here))
    names = sorted(ours.keys() | theirs.keys(), key=lambda name: (name not in FIRST, name))
    pairs += [(name, ours.get(name, NOTHING), theirs.get(name, NOTHING)) for name in names]
    return tuple(Difference(*pair) for pair in pairs if pair[1] != pair[2] or pair[1] == UNKNOWN)


def environment(there: dict[str, Any], device: str, tree: Path) -> dict[str, str]:
    """Variables for the stages in `tree`: its own code, the recorded number of threads and the same kind of device.

    The stages run on this machine, unless a person's variable says otherwise: where they ran first does not matter.
    """
    own = graph.stage_environment()
    own.setdefault(engine.VARIABLE, "local")
    folders = [str(tree / "src"), str(tree), *filter(None, [own.get("PYTHONPATH")])]
    own["PYTHONPATH"] = os.pathsep.join(folders)
    own.pop("OMP_NUM_THREADS", None)
    if there.get("threads"):
        own["OMP_NUM_THREADS"] = str(there["threads"])
    if device == "cpu":
        own["CUDA_VISIBLE_DEVICES"] = ""  # train.device: auto must find the same device as originally
    return own


def other_version(made_by: installed.Package) -> tuple[Difference, ...]:
    """The difference in kshot's version, if the installed one is not the wheel that made the model."""
    here = installed.package([])
    other = made_by.installed in INSTALLED and here.version != made_by.version
    return (Difference(PACKAGE, made_by.version, here.version),) if other else ()


def install(
    there: dict[str, Any], folder: Path, variables: dict[str, str], made_by: installed.Package
) -> tuple[dict[str, Any], Path]:
    """Install the recorded packages into `folder`, and point `variables` there; returns environment and package folder.

    For a model made by an installed kshot, that version of kshot is installed too. Raises NotReproduced with the
    installer's last lines if a package is no longer available.
    """
    uv = shutil.which("uv", path=variables["PATH"])
    if uv is None:
        raise NotReproduced("there is no `uv` to install the recorded packages with; `pip install uv` brings it")
    wanted = "".join(
        f"{name}=={version}\n" for name, version in there["packages"].items() if name.lower() not in NO_MATTER
    )
    if made_by.installed in INSTALLED:
        wanted += f"{PACKAGE}=={made_by.version}\n"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text(wanted, encoding="utf-8")
    python = folder / "environment/bin/python"
    for command in (
        [uv, "venv", "--quiet", "--python", _interpreter(uv, str(there["python"])), str(folder / "environment")],
        [uv, *("pip", "install", "--quiet", "--no-deps", "--python", str(python), "-r", f"{folder}/requirements.txt")],
    ):
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            output = redacted(" ".join(ended.stderr.split()))[-300:]
            raise NotReproduced(f"the recorded packages cannot be installed: {output}; try without --install")
    variables["PATH"] = os.pathsep.join([str(python.parent), variables["PATH"]])
    # The tree's code may be too old to report it. A separate folder, because an installed kshot is next to other
    # packages.
    asks = folder / "asks"
    asks.mkdir()
    (asks / PACKAGE).symlink_to(Path(lineage.__file__).resolve().parents[2])
    ours = {**variables, "PYTHONPATH": str(asks)}
    ended = subprocess.run([str(python), "-c", ASK], env=ours, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise NotReproduced(f"the recorded packages do not work here: {ended.stderr.strip().splitlines()[-1]}")
    found: dict[str, Any] = json.loads(ended.stdout)
    place = subprocess.run([str(python), "-c", PLACE], env=variables, capture_output=True, text=True, check=True)
    return found, Path(place.stdout.strip())


def _interpreter(uv: str, version: str) -> str:
    """The recorded Python if this machine has it, else the one running this process."""
    found = subprocess.run([uv, "python", "find", version], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else sys.executable


def _values(key: str, there: Any, here: Any) -> list[tuple[str, str, str]]:
    """The leaves of two values that differ, as dotted keys."""
    if there == here:
        return []
    if isinstance(there, dict) and isinstance(here, dict):
        names = dict.fromkeys([*there, *here])
        return [pair for name in names for pair in _values(f"{key}.{name}", there.get(name), here.get(name))]
    before, now = (NOTHING if value is None else json.dumps(value) for value in (there, here))
    return [(key, before, now)]


def _system(platform: str) -> str:
    """The system and its C library without the kernel version, which does not affect results."""
    name, _, library = platform.partition("-with-")
    return f"{name.partition('-')[0]} {library}".strip()


def _threads(one: dict[str, Any]) -> str:
    return str(one.get("threads") or f"those of {one.get('cores', UNKNOWN)} cores")


def _listed(one: dict[str, Any]) -> str:
    return ", ".join(one.get("accelerators", [])) or UNKNOWN


def _packages(one: dict[str, Any]) -> dict[str, str]:
    found = {str(name).lower(): str(version) for name, version in one.get("packages", {}).items()}
    return {name: version for name, version in found.items() if name not in NO_MATTER}
