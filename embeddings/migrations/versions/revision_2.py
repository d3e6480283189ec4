"""A campaign's record is a list of events; sentence vectors are kept; the revision is alembic's to know.

What an older study recorded round by round stays in its tables (drafts, admissions, promotions, snapshots, outcomes),
which nothing reads any more; its texts and embeddings are today's, so that it is played again and not stored again.
"""

import sqlalchemy as sa
from alembic import op

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Make the tables that are new."""
    op.create_table(
        "sentence_vectors",
        sa.Column("text_id", sa.String(64), sa.ForeignKey("texts.id"), primary_key=True),
        sa.Column("encoder", sa.String(200), primary_key=True),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
    )
    if sa.inspect(op.get_bind()).has_table("campaigns"):  # a database of embeddings alone has no ledger
        op.create_table(
            "events",
            sa.Column("campaign_id", sa.Integer(), sa.ForeignKey("campaigns.id"), primary_key=True),
            sa.Column("sequence", sa.Integer(), primary_key=True),
            sa.Column("id", sa.String(32), nullable=False, unique=True),
            sa.Column("at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("version", sa.Integer(), nullable=False),
            sa.Column("kind", sa.String(16), nullable=False, index=True),
            sa.Column("body", sa.Text(), nullable=False),
        )
    op.drop_table("meta")
