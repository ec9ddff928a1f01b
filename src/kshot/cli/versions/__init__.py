"""Verbs about registered versions: list, promote, audit, attest, reproduce, prune, forget."""
