"""Wraps each statement in a signed envelope: DSSE v1, as the in-toto attestation framework asks for."""

import base64
from typing import TYPE_CHECKING, Any

from kshot.lifecycle.signatures import private_key

if TYPE_CHECKING:
    from kshot.lifecycle.signatures.private_key import PrivateKey

PAYLOAD = "application/vnd.in-toto+json"
FOLDER = "envelopes"


def envelopes(statements: dict[str, bytes], key: "PrivateKey") -> dict[str, dict[str, Any]]:
    """File name to envelope: "envelopes/01-ingest.json" holds "statements/01-ingest.json", byte for byte."""
    return {f"{FOLDER}/{name.partition('/')[2]}": _envelope(content, key) for name, content in statements.items()}


def _envelope(content: bytes, key: "PrivateKey") -> dict[str, Any]:
    signature = private_key.sign(key, encoded(content))
    return {
        "payload": base64.b64encode(content).decode(),
        "payloadType": PAYLOAD,
        "signatures": [{"keyid": private_key.fingerprint(key), "sig": base64.b64encode(signature).decode()}],
    }


def encoded(content: bytes) -> bytes:
    """The signed bytes: DSSE's pre-authentication encoding (github.com/secure-systems-lab/dsse, protocol.md)."""
    kind = PAYLOAD.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(content), content)
