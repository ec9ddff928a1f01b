"""The client's connection: sends one request to a gallery service and reads the response or the refusal."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import IO, Any, TypeVar
from urllib.parse import quote, urlsplit

from kshot.errors import KshotError, ServiceError

try:
    import httpx
    from pydantic import BaseModel, ValidationError

    from kshot.serve.messages.gallery_messages import ErrorResponse
except ImportError as error:  # only the science is installed
    raise KshotError(f"kshot.Client needs {error.name}, which is not here: pip install 'kshot[serve]'") from error

LOOPBACK = ("localhost", "127.0.0.1", "::1")
CONNECT_S = 5.0
ResponseT = TypeVar("ResponseT", bound=BaseModel)
BodyT = TypeVar("BodyT", bound=BaseModel)
Files = Sequence[tuple[str, tuple[str, bytes]]]


class Connection:
    """An open connection to the service at the address `at`; one for several threads."""

    def __init__(self, at: str, key: str | None, timeout: float) -> None:
        parts = urlsplit(at)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServiceError(f"{at!r} is no address of a gallery service; needs one such as http://127.0.0.1:8000")
        key = (os.environ.get("KSHOT_KEY", "") if key is None else key).strip()  # read from a file
        if not key.isascii() or not key.isprintable():
            raise ServiceError("the key has signs that no key has; copy it again from `kshot serve key add`")
        self.at = at.rstrip("/")
        self._client = httpx.Client(
            base_url=f"{self.at}/",
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(timeout, connect=CONNECT_S),
            trust_env=parts.hostname not in LOOPBACK,  # no proxy stands before this machine itself
        )

    def close(self) -> None:
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: BaseModel | None = None,
        form: Mapping[str, Any] | None = None,
        files: Files = (),
        content: bytes | IO[bytes] | None = None,
        patient: bool = False,
    ) -> bytes:
        """The body of the response. Raises ServiceError for a refusal, or if no server answers.

        patient: wait for the response as long as the service lives.
        """
        if body is not None:
            content = body.model_dump_json(by_alias=True, exclude_unset=True).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = self._client.build_request(
            method, path, params=query, content=content, data=form, files=list(files) or None, headers=headers
        )
        if patient:
            request.extensions["timeout"] = {**request.extensions["timeout"], "read": None}
        try:
            response = self._client.send(request)
        except httpx.ConnectError as error:
            raise ServiceError(f"nobody answers at {self.at}; start the service there: kshot serve") from error
        except httpx.TimeoutException as error:
            raise ServiceError(f"the service at {self.at} does not answer in time; look at its log") from error
        except httpx.HTTPError as error:
            raise ServiceError(f"the service at {self.at} broke off: {error or type(error).__name__}") from error
        if response.is_success:
            return response.content
        raise refusal(self.at, response.status_code, response.content)

    def request(self, kind: type[ResponseT], method: str, path: str, **more: Any) -> ResponseT:
        """The response as a message of `kind`. Raises ServiceError as `send`, and for a response of another form."""
        response = self.send(method, path, **more)
        try:
            return kind.model_validate_json(response)
        except ValidationError as error:
            raise ServiceError(f"{self.at} answers, but not as a gallery service of this kshot does") from error


def refusal(at: str, status: int, content: bytes) -> ServiceError:
    """The error for a response that is not 2xx: the service's own line if it has one."""
    try:
        found = ErrorResponse.model_validate(json.loads(content))
    except (ValueError, ValidationError):
        return ServiceError(f"{at} answers with status {status} and no reason; is it a gallery service?", status=status)
    return ServiceError(found.error.message, status=status, code=found.error.code, request=found.request)


def body(kind: type[BodyT], fields: Mapping[str, Any]) -> BodyT:
    """The body of a request. Raises ServiceError for a value that the service would refuse."""
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise ServiceError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}", code="bad_request") from error


def path(*parts: object) -> str:
    """A path below /v1 of those parts, each quoted: a name may hold any character.

    Raises ServiceError for '', '.' and '..': a path with one is the address of something else, such as of the gallery
    in place of its class.
    """
    if wrong := [str(part) for part in parts if str(part) in ("", ".", "..")]:
        raise ServiceError(f"{wrong[0]!r} is no name of a gallery or a class; give its name", code="bad_name")
    return "/".join(["v1", *(quote(str(part), safe="") for part in parts)])
