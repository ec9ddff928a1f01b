"""The tables of the gallery store, for SQLite and PostgreSQL. Times are text, ISO 8601 in UTC."""

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

VERSION = 1  # of these tables; a store of a newer kshot is refused
METADATA = MetaData()

STORE = Table("kshot_store", METADATA, Column("version", Integer, nullable=False))

# One row: a random id, by which the images at an address are known to be this database's.
OWNER = Table("kshot_owner", METADATA, Column("id", String(32), primary_key=True))

GALLERIES = Table(
    "galleries",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False, unique=True),
    Column("revision", Integer, nullable=False),
    Column("unknown_threshold", Float),
    Column("created", String(32), nullable=False),
    sqlite_autoincrement=True,
)

# One row an image, whatever number of examples shows it.
IMAGES = Table(
    "images",
    METADATA,
    Column("sha256", String(64), primary_key=True),
    Column("bytes", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("media_type", String(64), nullable=False),
)

EXAMPLES = Table(
    "examples",
    METADATA,
    # AUTOINCREMENT: SQLite would give the id of a deleted example to the next one.
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("gallery", Integer, ForeignKey("galleries.id"), nullable=False),
    Column("class_name", Text, nullable=False),
    Column("sha256", String(64), ForeignKey("images.sha256"), nullable=False),
    Column("name", Text, nullable=False),
    Column("taught", String(32), nullable=False),
    Column("request", String(64)),
    UniqueConstraint("gallery", "class_name", "sha256"),
    Index("examples_by_image", "sha256"),
    sqlite_autoincrement=True,
)

# A cache: `model` is the sha256 of a model's files, so that a version number used again finds nothing of the old model.
EMBEDDINGS = Table(
    "embeddings",
    METADATA,
    Column("sha256", String(64), ForeignKey("images.sha256", ondelete="CASCADE"), primary_key=True),
    Column("model", String(64), primary_key=True),
    Column("point", LargeBinary, nullable=False),  # float32, little-endian
)

KEYS = Table(
    "keys",
    METADATA,
    Column("name", String(100), primary_key=True),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("scope", String(16), nullable=False),
    Column("created", String(32), nullable=False),
    Column("revoked", String(32)),
)

DISAGREEMENTS = Table(
    "disagreements",
    METADATA,
    Column("version", String(32), primary_key=True),
    Column("shadow", String(32), primary_key=True),
    Column("images", Integer, nullable=False),
    Column("differ", Integer, nullable=False),
)
