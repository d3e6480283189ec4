"""Texts, embeddings, pools; and a study's record in a table for each kind of row."""

import sqlalchemy as sa
from alembic import op

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables of the first Copyloom."""
    _texts()
    _pools()
    op.create_table(
        "runs", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("config", sa.String(), nullable=False)
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False, unique=True),
    )
    op.create_table(
        "meta", sa.Column("key", sa.String(), primary_key=True), sa.Column("value", sa.String(), nullable=False)
    )
    op.bulk_insert(sa.table("meta", sa.column("key"), sa.column("value")), [{"key": "schema_version", "value": "1"}])


def _texts() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "spaces",
        sa.Column("id", sa.Integer(), primary_key=True),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("model", "parameters", "tokenizer", "encoder")),
        sa.Column("adapter", sa.String(), nullable=False),
        sa.Column("vectors", sa.Integer(), nullable=False),
        sa.Column("hidden_size", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.String(), nullable=False),
        sa.Column("decoding", sa.String(), nullable=False),
        sa.UniqueConstraint(
            *("model", "parameters", "tokenizer", "encoder", "adapter"),
            *("vectors", "hidden_size", "dtype", "decoding"),
        ),
    )
    op.create_table(
        "texts",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_table(
        "embeddings",
        sa.Column("text_id", sa.String(64), sa.ForeignKey("texts.id"), primary_key=True),
        sa.Column("space_id", sa.Integer(), sa.ForeignKey("spaces.id"), primary_key=True),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.Column("vector_count", sa.Integer(), nullable=False),
        sa.Column("hidden_size", sa.Integer(), nullable=False),
        sa.Column("sentence_vector", sa.LargeBinary(), nullable=False),
        sa.Column("sentence_size", sa.Integer(), nullable=False),
        sa.Column("exact", sa.Boolean(), nullable=False),
        sa.Column("margin", sa.Double(), nullable=False),
        sa.Column("steps", sa.Integer(), nullable=False),
        sa.Column("start", sa.String(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
    )
    op.create_table(
        "lineage",
        sa.Column("text_id", sa.String(64), primary_key=True),
        sa.Column("space_id", sa.Integer(), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("parent_id", sa.String(64), sa.ForeignKey("texts.id"), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["text_id", "space_id"], ["embeddings.text_id", "embeddings.space_id"]),
    )


def _pools() -> None:
    op.create_table(
        "pools",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False, unique=True),
        sa.Column("space_id", sa.Integer(), sa.ForeignKey("spaces.id"), nullable=False),
    )
    op.create_table(
        "pool_events",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("pool_id", sa.Integer(), sa.ForeignKey("pools.id"), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text_id", sa.String(64), sa.ForeignKey("texts.id"), nullable=False),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("pool_id", "version", "text_id"),
    )
    op.create_index("pool_events_by_text", "pool_events", ["pool_id", "text_id"])
