"""Signs bytes with an SSH key in the forms of other standards: ECDSA and Ed25519 (FIPS 186-5), by `cryptography`."""

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from kshot.errors import DataError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey

PUBLIC = ("-cert.pub", ".pub")  # NAME-cert.pub and NAME.pub belong to the private key NAME
CURVES = {"secp256r1": "SHA256", "secp384r1": "SHA384", "secp521r1": "SHA512"}  # the hash of each, as in RFC 5656


class Unusable(DataError):
    """A key that only ssh-keygen can sign with; the text is the reason."""


def read(path: Path) -> "PrivateKey":
    """The ECDSA or Ed25519 private key in the file, in OpenSSH's form or PEM. Raises Unusable.

    For a certificate or public key of OpenSSH the private key beside it, where `ssh-keygen -Y sign` looks, too.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    path = _private(path)
    content = path.read_bytes()
    openssh = b"BEGIN OPENSSH PRIVATE KEY" in content
    if not openssh and b"PRIVATE KEY" not in content:
        raise Unusable(f"{path} is no private key, and its agent signs only in OpenSSH's form")
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        key = load(content, password=None)
    except TypeError as error:  # so says cryptography of a passphrase
        raise Unusable(f"{path} has a passphrase, which only ssh-keygen asks for") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable(f"{path} is a key that `cryptography` cannot read ({error})") from error
    if isinstance(key, Ed25519PrivateKey):
        return key
    if isinstance(key, EllipticCurvePrivateKey) and key.curve.name in CURVES:
        return key
    raise Unusable(f"{path} is neither an Ed25519 key nor an ECDSA key")


def _private(path: Path) -> Path:
    """The private key's file, where `path` is a public key or certificate that lies beside it; else `path`."""
    beside = [path.with_name(path.name.removesuffix(end)) for end in PUBLIC if path.name.endswith(end)]
    return next((one for one in beside if one.is_file()), path)


def is_elliptic(key: "PrivateKey") -> bool:
    """Whether it is an ECDSA key."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    return isinstance(key, EllipticCurvePrivateKey)


def sign(key: "PrivateKey", content: bytes) -> bytes:
    """The signature: 64 bytes of Ed25519, or ECDSA in DER with the hash of CURVES."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithms: dict[str, hashes.HashAlgorithm]
        algorithms = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}
        return key.sign(content, ec.ECDSA(algorithms[CURVES[key.curve.name]]))
    return key.sign(content)


def fingerprint(key: "PrivateKey") -> str:
    """The fingerprint of the public key, as `ssh-keygen -l` prints it: SHA256:..."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def pem(key: "PrivateKey") -> bytes:
    """The private key as PEM (PKCS 8), not encrypted."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
