"""``python -m experiments.benchmarks.kills --kills 200 --database shop.db``, or postgresql://...: see `driver`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any


def main() -> int:
    """Kill, check, print a table and JSON; return 1 if anything is wrong."""
    parser = argparse.ArgumentParser(
        description="Kill services and workers under traffic, and check that nothing is lost."
    )
    parser.add_argument("--kills", type=int, default=200, help="on each database")
    parser.add_argument(
        "--database", action="append", help="new file of SQLite, or URL of an empty database; or several"
    )
    parser.add_argument(
        "--own-postgres", action="store_true", help="also on a PostgreSQL server of its own, which is killed too"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file of the results")
    asked = parser.parse_args()
    from embeddings.folders import replacing
    from experiments.benchmarks.kills.driver import run
    from experiments.benchmarks.kills.postgres import Postgres
    from experiments.commands import console

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, database in enumerate(asked.database or [f"{folder}/shop.db"][asked.own_postgres :]):
            kind = database.partition("://")[0] if "://" in database else "sqlite"
            found[kind if kind not in found else f"{kind} {number}"] = run(
                database, asked.kills, Path(folder) / f"{number}.jsonl", asked.seed
            )
    if asked.own_postgres:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as of_server:
            server = Postgres(Path(of_server))
            server.start()
            try:
                found["killed postgresql"] = run(
                    server.create("shop"), asked.kills, Path(folder, "history.jsonl"), asked.seed, server
                )
            finally:
                server.stop()
    columns = [name for name in next(iter(found.values())) if name != "faults"]
    console.table("Killed under traffic", ["database", *columns, "faults"],
                  [[name, *(str(said.get(column, 0)) for column in columns), str(len(said["faults"]))]
                   for name, said in found.items()])  # fmt: skip
    for said in found.values():
        for fault in said["faults"][:20]:
            console.out.print(fault)
    print(json.dumps(found))
    if asked.out:
        with replacing(asked.out) as partial:
            partial.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return int(any(said["faults"] for said in found.values()))


if __name__ == "__main__":
    sys.exit(main())
