"""`kshot attest` and `kshot verify`: the evidence about a version as a folder of files, and the check of it."""

import argparse
from pathlib import Path
from typing import Any

from kshot.errors import ParamsError

ATTEST = """\
Audit a version and write the verified evidence into a folder that anybody can check alone: in-toto
statements of the stages, the decision with its evidence and rules, predictions, the chain of
events, a CycloneDX bill of material, Croissant metadata of the data (no image), a model card, the
manifest of the served model, and verify.py, which needs only Python.

  kshot attest champion --out evidence
  kshot attest 3 --out evidence --key ~/.ssh/id_ecdsa        and sign it
  kshot attest 3 --out evidence --with-model                 with the model's files

The same version gives the same bytes, signatures of ECDSA keys apart. An ECDSA key signs the
manifest (OpenSSH), each statement (DSSE) and the model (OpenSSF model signing); another SSH key
signs what it can, and the last lines list what it could not sign. The file allowed_signers in the
project's git says whose keys may sign. A version with a link that does not hold is not attested
(exit code 10).
"""
VERIFY = """\
Check a folder that `kshot attest` wrote: hashes, signature, events, stages, predictions and
decision, each from the files themselves. It needs no project; the folder's verify.py does the
same without kshot.

  kshot verify evidence
  kshot verify evidence --allowed-signers signers --model served/

Exit code 0: no check failed. 1: a check failed. 2: the folder is no attestation.
"""


def add_parser(verbs: Any) -> None:
    """Add the verbs `attest` and `verify` to the command line."""
    attest = verbs.add_parser(
        "attest", help="write the evidence about a version as files that anybody can check", description=ATTEST
    )
    attest.add_argument("version", metavar="VERSION", help="a version's number, champion or challenger")
    attest.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="a folder that is new or empty")
    attest.add_argument(
        "--key", type=Path, metavar="FILE", help="sign with this SSH private key, or its certificate NAME-cert.pub"
    )
    attest.add_argument(
        "--certificate", type=Path, metavar="FILE", help="X.509 certificates of the key, in PEM, for model.sig"
    )
    attest.add_argument("--with-model", action="store_true", help="copy the served model's files too")
    attest.set_defaults(run=run)
    verify = verbs.add_parser("verify", help="check a folder that attest wrote", description=VERIFY)
    verify.add_argument("folder", type=Path, metavar="FOLDER", help="what `kshot attest` wrote")
    verify.add_argument("--model", type=Path, metavar="DIR", help="the served model's folder, to compare")
    verify.add_argument(
        "--allowed-signers", type=Path, metavar="FILE", help="names and public keys, as ssh-keygen reads them"
    )
    verify.add_argument("--anchor", type=Path, metavar="FILE", help="the history's anchor: git show REF:events")
    verify.add_argument(
        "--at", default="", metavar="TIME", help="when the folder's key must be valid: ISO 8601 (default: now)"
    )
    verify.add_argument("--expect", default="", metavar="PROJECT[/VERSION]", help="what the folder must be about")
    verify.set_defaults(run=check, outside=True)


def run(root: Path, options: argparse.Namespace) -> int:
    """Write the folder. Raises KshotError."""
    from kshot.lifecycle.evidence.attestation import attest

    key = options.key.expanduser() if options.key else None
    print(
        attest(
            root,
            options.version,
            options.out.absolute(),
            key=key,
            certificate=options.certificate,
            with_model=options.with_model,
        )
    )
    return 0


def check(root: Path, options: argparse.Namespace) -> int:
    """Print one line a check; see VERIFY for the exit code."""
    from kshot.lifecycle.evidence import verify

    try:
        at = verify.moment(options.at) if options.at else ""
    except ValueError as error:
        raise ParamsError(f"--at {options.at} is no time; needs one such as 2026-11-29 or 2026-11-29T12:00") from error
    given = verify.Given(options.model, options.allowed_signers, options.anchor, at, options.expect)
    return verify.verify(options.folder, given)
