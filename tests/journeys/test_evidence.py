"""The story of docs/evidence.md: a signed approval, its attestation, an auditor on another machine, and forgetting.

The project is one that was retrained with few steps. The auditor has other people's tools and no kshot.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.blocks import REPOSITORY, blocks
from tests.journeys.person import Person
from tests.journeys.steps import Journey, Step, parameters
from tests.lifecycle import audited_project
from tests.lifecycle.ssh_keys import ADA, commit_signers, line, new_key

pytestmark = pytest.mark.journeys

EVIDENCE, PROMOTION, SCHEDULE = "docs/evidence.md", "docs/promotion.md", "docs/schedule.md"
TOOLS = ("cryptography", "model-signing", "pyopenssl", "securesystemslib[crypto]")
IMAGE = "data/raw/images/group1/class03/00.png"
ATTESTED = "version 2 in .* files, signed by ada@example.org$"

APPROVED = (
    Step(
        "KSHOT_OPENLINEAGE=reports/openlineage.jsonl kshot retrain --set gate.approval=signed --set train.steps=25",
        SCHEDULE,
        "KSHOT_OPENLINEAGE=reports/openlineage.jsonl kshot retrain",
        shows=("model kshot version 2", "waiting for approval"),
        needed=True,
    ),
    Step('kshot approve challenger --by Ada --reason "as expected"', codes=(7,), shows=("must be signed",)),
    Step(
        'kshot approve challenger --key ../ada --reason "figures are as expected"',
        PROMOTION,
        'kshot approve challenger --key ~/.ssh/id_ed25519 --reason "figures are as expected"',
        shows=("2 is champion",),
        needed=True,
    ),
    Step(
        "kshot attest champion --out ../auditor/evidence --key ../ada --with-model",
        EVIDENCE,
        (
            "kshot attest champion --out evidence",
            "kshot attest 3 --out evidence --key ~/.ssh/id_ecdsa",
            "kshot attest 3 --out evidence --with-model",
        ),
        shows=(ATTESTED,),
        needed=True,
    ),
    Step(
        "kshot verify ../auditor/evidence --allowed-signers ../auditor/signers",
        EVIDENCE,
        "kshot verify evidence --allowed-signers signers",
        shows=("no check failed",),
    ),
    Step(
        "git ls-remote . 'refs/kshot/history/*'",
        EVIDENCE,
        "git ls-remote ORIGIN 'refs/kshot/history/*'",
        shows=("refs/kshot/history/",),
    ),
    Step(
        "git show $(git for-each-ref --format='%(refname)' refs/kshot/history):events > ../auditor/anchored",
        EVIDENCE,
        "git show REF:events > anchored",
    ),
)
AUDITED = (
    Step("kshot", codes=(127,)),  # it is not installed here
    Step(
        "cp evidence/verify.py . && python3 -I verify.py evidence --allowed-signers signers",
        EVIDENCE,
        "python3 -I verify.py evidence --allowed-signers signers",
        shows=(
            f"signed by {ADA}",
            "envelopes ok 7 statements and the files",
            r"event 3 \(approved\) signed",
            "no check failed",
        ),
    ),
    Step("python3 -I verify.py evidence --anchor anchored", EVIDENCE, shows=("anchor ok", "no check failed")),
    *(
        Step(f"{command} evidence/{file}", EVIDENCE, shows=(f'Good "{purpose}" signature for {ADA}',))
        for purpose, file in (("kshot-attestation", "manifest.json"), ("kshot-decision", "signed/0003.json"))
        for command in [f"ssh-keygen -Y verify -f signers -I {ADA} -n {purpose} -s evidence/{file}.sig <"]
    ),
    Step("ssh-keygen -e -m pkcs8 -f ada.pub > ada.pem", EVIDENCE),
    Step(
        "model_signing verify key evidence/model --signature evidence/model.sig --public_key ada.pem",
        EVIDENCE,
        shows=("succeeded",),
    ),
)
FORGOTTEN = (
    Step(
        f"kshot forget {IMAGE} --reason 'Ada took it back' --key ../ada --yes",
        shows=(f"signed by {ADA}",),
        needed=True,
    ),
    Step(
        f"ssh-keygen -Y verify -f ../auditor/signers -I {ADA} -n kshot-erasure -s reports/erasure-*.json.sig "
        "< $(ls reports/erasure-*.json)",
        shows=(f'Good "kshot-erasure" signature for {ADA}',),
    ),
    Step("kshot audit --model 1", shows=("erased", "version 1: all .* hold")),
    Step("kshot audit --model 2", shows=("erased", "version 2: all .* hold"), hides=("BROKEN",)),
    Step("kshot history", shows=("erased", f"signed by {ADA}", "as they were written")),
    Step("kshot attest 2 --out ../later --key ../ada --with-model", shows=(ATTESTED,)),
)
STEPS = (*APPROVED, *AUDITED, *FORGOTTEN)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """The project's owner, with the key `ada` beside the project."""
    root = audited_project.copy(tmp_path_factory, tmp_path_factory.mktemp("evidence"))
    key, auditor = new_key(root.parent / "ada", "ecdsa"), root.parent / "auditor"
    commit_signers(root, line(key))
    auditor.mkdir()
    shutil.copy(root / "allowed_signers", auditor / "signers")
    shutil.copy(key.with_suffix(".pub"), auditor)
    return Journey(Person(root, Path(sys.executable).parent))


@pytest.fixture(scope="module")
def auditor(project: Journey) -> Journey:
    """Somebody with the folder, the signers, and an environment of other people's tools."""
    folder = project.person.root.parent / "auditor"
    uv, new = Path(sys.executable).with_name("uv"), folder.parent / "environment"
    pinned = ["--constraints", REPOSITORY / "requirements.lock"]
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, new], check=True)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", new, *pinned, *TOOLS], check=True)
    return Journey(Person(folder, new / "bin"))


@parameters(APPROVED)
def test_a_signed_approval_is_attested(project: Journey, step: Step) -> None:
    project.walk(step)


def test_the_retraining_sent_its_events(project: Journey) -> None:
    lines = (project.person.root / "reports/openlineage.jsonl").read_text().splitlines()
    first, last = (json.loads(line) for line in lines)
    assert (first["eventType"], last["eventType"]) == ("START", "COMPLETE")
    assert last["run"]["facets"]["kshot_decision"]["decision"] == "waiting"
    assert [one["facets"]["version"]["datasetVersion"] for one in last["outputs"]] == ["2"]
    assert last["inputs"][0]["facets"]["version"]["datasetVersion"].startswith(project.person.data_version())


@parameters(AUDITED)
def test_an_auditor_checks_it_with_other_peoples_tools(auditor: Journey, step: Step) -> None:
    auditor.walk(step)


def test_an_auditor_verifies_the_statements_and_the_hashes(auditor: Journey) -> None:
    ended = auditor.runs_python(EVIDENCE)
    assert "['ingest', 'split', 'validate', 'episodes', 'embed', 'train', 'evaluate']" in ended.output
    (hashes,) = (block for block in blocks(REPOSITORY / EVIDENCE) if block.lines[0].startswith("cd evidence && "))
    ended = auditor.person.types("\n".join(hashes.lines))
    assert (ended.code, ended.output) == (0, "")


@pytest.mark.parametrize("name", ["predictions/episodes.csv", "model/artifacts/embedding/embedding.safetensors"])
def test_one_flipped_byte_is_refused_by_name(auditor: Journey, name: str) -> None:
    path = auditor.person.root / "evidence" / name
    before = path.read_bytes()
    audited_project.flip(path, len(before) // 2)
    ended = auditor.person.types("python3 -I verify.py evidence --allowed-signers signers")
    path.write_bytes(before)
    assert ended.code == 1 and f"{name} was changed: its sha256 is not the one in manifest.json" in ended.output


@parameters(FORGOTTEN)
def test_an_image_is_forgotten_and_every_audit_holds(project: Journey, step: Step) -> None:
    project.walk(step)


def test_what_was_attested_before_still_verifies(auditor: Journey) -> None:
    ended = auditor.person.types("python3 -I verify.py evidence --allowed-signers signers --anchor anchored")
    assert ended.code == 0 and "no check failed" in ended.output, ended.output
