"""Signs the served model in the form of OpenSSF model signing, by the package `model-signing`.

With a certificate (X.509), whoever trusts its authority can check the signature without knowing the key.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import DataError
from kshot.lifecycle.signatures import private_key
from kshot.lifecycle.signatures.private_key import Unusable

if TYPE_CHECKING:
    from kshot.lifecycle.signatures.private_key import PrivateKey

FILE = "model.sig"


def signature(model: Path, key: "PrivateKey", certificate: Path | None = None) -> bytes:
    """A Sigstore bundle over every file of the folder `model`.

    certificate  PEM: the certificate of the key, and then those of the authorities between it and a root
    Raises Unusable for a key that is not ECDSA, and if the package is not installed; DataError for a certificate that
    cannot be read or is another key's.
    """
    if not private_key.is_elliptic(key):
        raise Unusable("OpenSSF model signing needs an ECDSA key: `ssh-keygen -t ecdsa` makes one")
    try:
        from model_signing import signing
    except ModuleNotFoundError as error:
        raise Unusable(f"{error}: pip install 'kshot[evidence]'") from error
    with tempfile.TemporaryDirectory() as scratch:  # of mode 0700: model-signing reads a key only from a PEM file
        place, written = Path(scratch) / "key", Path(scratch) / FILE
        place.touch(0o600)
        place.write_bytes(private_key.pem(key))
        config = signing.Config()  # type: ignore[no-untyped-call]
        if certificate is None:
            config.use_elliptic_key_signer(private_key=place)
        else:
            try:
                config.use_certificate_signer(
                    private_key=place, signing_certificate=certificate, certificate_chain=[certificate]
                )
            except (OSError, ValueError) as error:
                raise DataError(f"the certificate {certificate} cannot be used: {error}") from error
        config.sign(model, written)
        return written.read_bytes()
