"""The tables of the store, in SQLAlchemy Core. The migrations make them; this is how the code sees them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

SCHEMA_VERSION = "0005"
"""The newest migration; a test holds it equal to the head of ``migrations/``."""

metadata = MetaData()

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("exit_code", Integer),
    Column("host", Text, nullable=False),
    Column("parent_id", Text),
    Column("started_wall_ns", BigInteger, nullable=False),
    Column("duration_s", Float(53), nullable=False),
    Column("energy_j", Float(53)),
    Column("energy_low_j", Float(53)),
    Column("energy_high_j", Float(53)),
    Column("energy_by_component", Text, nullable=False),  # JSON: {"cpu": {"value", "low", "high"}, ...}
    Column("coverage", Float(53)),
    Column("note", Text, nullable=False),
    Column("stored_bytes", BigInteger, nullable=False),
    Column("header", LargeBinary, nullable=False),  # what pack.py needs beside the columns, compressed JSON
    Column("summary", LargeBinary),  # the object that `show --json` prints, compressed JSON
    Index("runs_by_start", "started_wall_ns"),
    Index("runs_by_name", "name"),
)

tags = Table(
    "run_tags",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Index("run_tags_by_key", "key", "value"),
)

blocks = Table(
    "run_blocks",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("column", Text, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

revisions = Table(
    "run_revisions",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("revision", BigInteger, nullable=False),  # another number after every write to the run
)

facts = Table(
    "run_facts",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("facts", Text, nullable=False),  # JSON: facts.py
)

removed = Table(
    "run_removed",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("removed_wall_ns", BigInteger, nullable=False),
)

predictions = Table(
    "predictions",
    metadata,
    Column("prediction_id", Text, primary_key=True),
    Column("made_wall_ns", BigInteger, nullable=False),
    Column("predictor", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column(
        "run_id", Text
    ),  # no foreign key: a prediction may be older than its run, and outlives a pruned one
    Column("share", Float(53)),
    Column("energy_j", Float(53), nullable=False),
    Column("energy_low_j", Float(53), nullable=False),
    Column("energy_high_j", Float(53), nullable=False),
    Column("time_s", Float(53)),
    Column("time_low_s", Float(53)),
    Column("time_high_s", Float(53)),
    Column("details", Text, nullable=False),  # JSON: what else the predictor said
    Column("actual_status", Text),
    Column("actual_energy_j", Float(53)),
    Column("actual_time_s", Float(53)),
    Index("predictions_by_run", "run_id"),
    Index("predictions_by_time", "made_wall_ns"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_hash", Text, primary_key=True),  # SHA-256; the token itself is nowhere
    Column("name", Text, nullable=False, unique=True),
    Column("project", Text),  # null: all projects
    Column("rights", Text, nullable=False),  # read, or write (which reads, too)
    Column("made_wall_ns", BigInteger, nullable=False),
    Column("ends_wall_ns", BigInteger),
)

retention = Table(
    "retention",
    metadata,
    Column("project", Text, primary_key=True),  # empty: runs of all projects that have no rule of their own
    Column("runs_s", Float(53)),
    Column("curves_s", Float(53)),
    Column("period_s", Float(53)),
)

node_batches = Table(
    "node_batches",
    metadata,
    Column("node_id", Text, primary_key=True),  # of the machine; two may have one host name
    Column("stream", Text, primary_key=True),  # of one start of the agent
    Column("number", BigInteger, primary_key=True),
    Column("host", Text, nullable=False),
    Column("start_wall_ns", BigInteger, nullable=False),
    Column("end_wall_ns", BigInteger, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("energy_uj", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index("node_batches_by_time", "start_wall_ns"),
)

version = Table("alembic_version", MetaData(), Column("version_num", Text))
