"""The table of logged requests: one row an image, with its prediction and the label that a person gave it."""

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

# `gallery` is the id in the galleries table: a renamed gallery keeps its log. The table and the column "asked" keep the
# names that existing stores have.
LOGGED = Table(
    "asked",
    METADATA,
    Column("item", Integer, primary_key=True, autoincrement=True),
    Column("request", String(64), nullable=False),
    Column("place", Integer, nullable=False),  # of the image in its request
    Column("gallery", Integer, nullable=False),
    Column("asked", String(32), nullable=False),
    Column("model_version", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("label", Text, nullable=False),
    Column("probability", Float),
    Column("margin", Float),
    Column("distance", Float),
    Column("unknown", Boolean),
    Column("challenger", Text),
    Column("sha256", String(64), nullable=False),
    Column("given", Text),
    Column("by", Text),
    Column("at", String(32)),
    Index("asked_by_request", "request", "place"),
    Index("asked_by_image", "sha256"),
    sqlite_autoincrement=True,
)
