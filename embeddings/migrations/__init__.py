"""How an older database becomes one of today: one chain of revisions, in ``versions/``, run by alembic."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection


def upgrade(connection: Connection, found: str, wanted: str = "head") -> None:
    """Bring a database from the revision that was found to another, within the transaction of `connection`."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    if found:
        command.stamp(config, found)
    command.upgrade(config, wanted)
