"""Turns the errors of a database server (PostgreSQL, MySQL) that MLflow uses directly into one line with a remedy."""

import re

from kshot import full_disk
from kshot.lifecycle.tracking.sqlite_trouble import first_sentence
from kshot.redaction import redacted

TIMEOUT_S = 6
# The drivers' classes for a connection that was refused or lost; MLflow passes them on as texts only.
LOST = ("OperationalError", "InterfaceError", "AdminShutdown", "CannotConnectNow")


def require_answer(where: str) -> None:
    """Raise SQLAlchemyError if the server does not answer: MLflow would try to connect for nearly two minutes."""
    import sqlalchemy

    known = where.startswith(("postgresql://", "postgresql+psycopg", "mysql"))  # others name the option differently
    timeout = {"connect_timeout": TIMEOUT_S} if known else {}
    engine = sqlalchemy.create_engine(where, connect_args=timeout)
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def is_lost(text: str) -> bool:
    """Whether an error of MLflow or a driver says that there is no connection to the server."""
    return any(one in text for one in LOST) and not full_disk.says_full(text)


def sentence(where: str, text: str) -> str:
    """One line about a server that cannot be reached, for the error `text`.

    >>> sentence("postgresql://kshot@db/mlflow", "(psycopg2.OperationalError) Connection refused [SQL: SELECT 1]")
    "MLflow's database postgresql://kshot@db/mlflow did not answer (Connection refused); start it, or check \
MLFLOW_TRACKING_URI, then run the same command again"
    """
    # The second line of PostgreSQL's texts is a guess.
    reason = first_sentence(re.sub(r"^.*?\([\w.]+\) ", "", text, flags=re.DOTALL).split("\n")[0])
    return (
        f"MLflow's database {redacted(where)} did not answer ({reason}); start it, or check MLFLOW_TRACKING_URI, then "
        "run the same command again"
    )
