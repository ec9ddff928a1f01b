"""The errors that kshot raises on purpose.

KshotError                 every error meant for a person: one line, found - needed - remedy
├── ParamsError            a setting in params.yaml or on the command line         exit 2
├── DataError              images, manifests, splits, episodes                     exit 3
│   └── ValidationFailed   the data broke an expectation                           exit 4
├── CheckpointError        weights that do not fit or cannot be read               exit 5
├── StageFailed            a DVC stage failed                                      exit 6
├── RegistryError          MLflow's store, the registry, the champion              exit 7
├── Busy                   another kshot command holds the project                 exit 8
├── TrainingDiverged       embeddings or a loss that are not finite                exit 9
├── NotConverged           a fit that did not reach its tolerance                  exit 1
├── AuditFailed            a link of a model's record does not hold                exit 10
├── NotReproduced          a model that was not, or cannot be, reproduced          exit 11
├── Drifted                new images differ from the training images              exit 12
├── MustBeMended           kshot doctor found a fault that stops something working exit 13
├── CheckFailed            an audit could not be carried out: kshot's own failure  exit 14
└── ServiceError           the gallery service refused a request, or is not there  exit 15
"""

from kshot.redaction import redacted


class KshotError(Exception):
    """Base of all errors meant for a person. Its text is redacted; `exit_code` is the exit code of the command."""

    exit_code = 1
    block: tuple[str, ...] = ()  # lines printed below the message on a terminal, where one line is not enough

    def __init__(self, *texts: object) -> None:
        super().__init__(*(redacted(text) if isinstance(text, str) else text for text in texts))


class ParamsError(KshotError):
    exit_code = 2


class DataError(KshotError):
    exit_code = 3


class ValidationFailed(DataError):
    exit_code = 4


class CheckpointError(KshotError):
    exit_code = 5


class StageFailed(KshotError):
    exit_code = 6


class RegistryError(KshotError):
    exit_code = 7


class Busy(KshotError):
    exit_code = 8


class TrainingDiverged(KshotError):
    exit_code = 9


class NotConverged(KshotError):
    pass


class AuditFailed(KshotError):
    exit_code = 10


class NotReproduced(KshotError):
    exit_code = 11


class Drifted(KshotError):
    exit_code = 12


class MustBeMended(KshotError):
    exit_code = 13


class CheckFailed(KshotError):
    exit_code = 14


class ServiceError(KshotError):
    """status: of HTTP, 0 without an answer; code: the service's, for programs; request: its id in the service's log."""

    exit_code = 15

    def __init__(self, message: str, *, status: int = 0, code: str = "", request: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.request = status, code, request
