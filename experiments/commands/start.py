"""Where the command ``copyloom`` starts, with nothing imported yet."""

from __future__ import annotations

import sys


def main() -> None:
    """Run a command; Ctrl-C while it is still starting ends it in one line too."""
    try:
        from experiments.commands.cli import app

        app()
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
