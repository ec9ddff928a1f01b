"""Notifies the addresses in KSHOT_NOTIFY of a failed retraining."""

import json
import os
import urllib.request
import warnings
from collections.abc import Sequence

from kshot import plugins
from kshot.redaction import redacted

NAME = "KSHOT_NOTIFY"
TIMEOUT_S = 10.0
WEBHOOKS = ("http", "https")
PREFECTS_WORDS = "Flow run encountered an exception: "


def failed(run: str, reason: str) -> list[str]:
    """Notify every address in KSHOT_NOTIFY that the flow run `run` failed. Returns one message per failed notification.

    Addresses are separated by spaces:

    - `http://` and `https://` are sent a JSON object with title, text, run and reason
    - `NAME://`, with the name of a plug-in's notifier, is passed to that notifier
    - everything else is an address of Apprise (slack://, mailto://, ntfy://, ...)

    Never raises: the failed run matters, not the failed notification.
    """
    reason = reason.removeprefix(PREFECTS_WORDS)
    return send("kshot: a retraining failed", f"{run}: {reason}", {"run": run, "reason": reason})


def send(title: str, text: str, facts: dict[str, str]) -> list[str]:
    """Send `text` and `facts`, redacted, to every address; returns one message for each that failed."""
    text, facts = redacted(text), {name: redacted(value) for name, value in facts.items()}
    troubles = []
    for address in addresses():
        try:
            _deliver(address, title, text, facts)
        except Exception as error:
            what = redacted(str(error))
            troubles.append(f"{address.split(':')[0]} address of {NAME} did not take the news: {what}")
    return troubles


def addresses() -> Sequence[str]:
    """The addresses in KSHOT_NOTIFY."""
    return os.environ.get(NAME, "").split()


def is_webhook(address: str) -> bool:
    """Whether the address accepts a plain JSON request."""
    return address.partition("://")[0] in WEBHOOKS


def _deliver(address: str, title: str, text: str, facts: dict[str, str]) -> None:
    plugin = plugins.find("notifiers", address.partition("://")[0], WEBHOOKS)
    if plugin is not None:
        plugins.load(plugin)(address, title, text, facts)
    elif is_webhook(address):
        _post(address, title, text, facts)
    else:
        _apprise(address, title, text)


def _post(address: str, title: str, text: str, facts: dict[str, str]) -> None:
    body = json.dumps({"title": title, "text": text, **facts}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S):
        pass  # a response of 400 or more raises


def _apprise(address: str, title: str, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from a module that Apprise imports late, if installed
        from apprise import Apprise

        service = Apprise()
        if not service.add(address):
            raise ValueError("Apprise knows no such address; its list is at https://appriseit.com/services")
        if not service.notify(title=title, body=text):
            raise ConnectionError("it could not be delivered")
