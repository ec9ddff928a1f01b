"""Signs the served model in the form of OpenSSF model signing, by the package `model-signing`."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.lifecycle.signatures import private_key
from kshot.lifecycle.signatures.private_key import Unusable

if TYPE_CHECKING:
    from kshot.lifecycle.signatures.private_key import PrivateKey

FILE = "model.sig"


def signature(model: Path, key: "PrivateKey") -> bytes:
    """A Sigstore bundle over every file of the folder `model`.

    Raises Unusable for a key that is not ECDSA, and if the package is not installed.
    """
    if not private_key.is_elliptic(key):
        raise Unusable("OpenSSF model signing needs an ECDSA key: `ssh-keygen -t ecdsa` makes one")
    try:
        from model_signing import signing
    except ModuleNotFoundError as error:
        raise Unusable(f"{error}: pip install 'kshot[evidence]'") from error
    with tempfile.TemporaryDirectory() as scratch:  # of mode 0700: model-signing reads a key from a PEM file alone
        place, written = Path(scratch) / "key", Path(scratch) / FILE
        place.touch(0o600)
        place.write_bytes(private_key.pem(key))
        config = signing.Config()  # type: ignore[no-untyped-call]
        config.use_elliptic_key_signer(private_key=place).sign(model, written)
        return written.read_bytes()
