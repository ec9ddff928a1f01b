"""Signs the manifest of an attestation with a person's SSH key."""

from pathlib import Path

from kshot.errors import DataError
from kshot.lifecycle.signatures import ssh_keygen

NAMESPACE = "kshot-attestation"


def sign(path: Path, key: Path, allowed: Path | None) -> str:
    """Sign the file `path` into `path`.sig. Returns the signer's name from `allowed`, '' without such a file.

    Raises DataError for a key that is missing, cannot sign, or is not in `allowed`.
    """
    content = path.read_bytes()
    signature = ssh_keygen.sign(content, key, NAMESPACE)
    Path(f"{path}.sig").write_text(signature, encoding="utf-8")
    if allowed is None:
        return ""
    try:
        return ssh_keygen.signer(content, signature, allowed, NAMESPACE)
    except ssh_keygen.Foreign as error:
        raise DataError(f"the key {key} may not sign: {error}") from error
