"""A PostgreSQL server of one's own, on loopback: stopped, killed and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from copyloom import InputError


def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, as Debian has it; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    known = str(found[-1]) if found else shutil.which("initdb")
    return Path(known).parent if known else None


class Postgres:
    """A server with its data in a folder; it runs once `start` was called, until `stop`.

    Parameters
    ----------
    folder : Path
        An empty one, whose owner the server becomes: it does not run as root.
    fsync : bool
        Whether it waits for the disk, as it must where it is killed.

    Raises
    ------
    InputError
        If PostgreSQL is not installed.
    """

    def __init__(self, folder: Path, fsync: bool = True) -> None:
        found = programs()
        if found is None:
            raise InputError("PostgreSQL is not installed; apt-get install postgresql")
        self.programs, self.folder, self.data = found, folder, folder / "data"
        self.as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self.as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": folder}
        subprocess.run([found / "initdb", "-D", self.data, "-U", "copyloom", "-A", "trust", "--no-sync"],
                       check=True, capture_output=True, **self.as_user)  # fmt: skip
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._command = [str(found / "postgres"), "-D", str(self.data), "-p", str(self.port), "-h", "127.0.0.1",
                         "-k", str(folder), "-c", f"fsync={'on' if fsync else 'off'}"]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the server, to which "/" and a database's name are added."""
        return f"postgresql://copyloom@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server, and return when it answers: after it was killed, when its last processes have gone too."""
        import psycopg

        for _ in range(600):
            if self._process is None or self._process.poll() is not None:
                quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
                self._process = subprocess.Popen(self._command, **quiet, **self.as_user)
            try:
                psycopg.connect(f"{self.url}/postgres", connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.1)
            else:
                return
        raise InputError("PostgreSQL does not answer")

    def create(self, name: str) -> str:
        """Create a database, and return its URL."""
        import psycopg

        with psycopg.connect(f"{self.url}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"{self.url}/{name}"

    def used(self) -> list[float]:
        """Return the seconds of a core that each of its processes has used."""
        parent, found = str(self._process.pid) if self._process else "", []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:  # it has ended
                continue
            if parent in (fields[1], stat.parent.name):
                found.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
        return found

    def stop(self) -> None:
        """Stop the server in order; it waits for nobody's connection."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Kill the server; what it had not written to the disk is lost."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None
