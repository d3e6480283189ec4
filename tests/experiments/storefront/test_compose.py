"""The shop's compose file without a container: its parts are there, and its commands come up on PostgreSQL."""

import contextlib
import json
import shlex
import subprocess
import sys
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from experiments.benchmarks.kills.postgres import programs
from experiments.commands.cli import app

from .test_serve import ask, running

SHOP = Path(__file__).parents[3] / "examples/shop"
COMPOSE = yaml.safe_load((SHOP / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
URL = "postgresql://copyloom:change-me@database/copyloom"


def arguments(name: str) -> list[str]:
    """The command of a service, after `copyloom`."""
    program, *found = shlex.split(SERVICES[name]["command"])
    assert program == "copyloom"
    return found


def test_services_wait_for_services_that_are_there():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert (how["condition"] != "service_healthy") or "healthcheck" in SERVICES[other], (name, other)
        assert all(volume.split(":")[0] in COMPOSE["volumes"] for volume in service.get("volumes", []))
    build = COMPOSE["x-copyloom"]["build"]
    root = (SHOP / build["context"]).resolve()
    assert (root / build["dockerfile"]).is_file()
    assert all(SERVICES[name]["build"] == build for name in ("opened", "service", "worker"))
    database = SERVICES["database"]["environment"]
    named = (
        f"postgresql://{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}@database/{database['POSTGRES_DB']}"
    )
    assert named == URL
    assert all(URL in arguments(name) for name in ("opened", "service", "worker"))


def test_the_image_is_made_of_what_is_there():
    root = SHOP.parents[1]
    steps = (SHOP / "Dockerfile").read_text()
    assert "-c constraints.txt '.[serve]'" in steps
    assert "serve = [" in (root / "pyproject.toml").read_text()
    assert "\nUSER nobody\n" in steps  # a worker and a service need to own nothing
    (line,) = [line for line in steps.splitlines() if line.startswith("RUN ")]
    assert line.endswith("copyloom models get smollm2")
    left_out = (SHOP / "Dockerfile.dockerignore").read_text().split()
    assert {".git", ".venv*", "runs"} <= set(left_out)


def test_commands_and_options_are_there():
    root = typer.main.get_command(app)
    for name in ("opened", "service", "worker"):
        command, left = root, arguments(name)
        while hasattr(command, "commands"):
            command, left = command.commands[left[0]], left[1:]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {one for one in left if one.startswith("--")} <= known


def test_they_come_up_on_postgresql(postgres, tmp_path):
    import psycopg

    with psycopg.connect(f"{postgres}/postgres", autocommit=True) as admin:
        admin.execute("CREATE DATABASE composed")
    port = postgres.rpartition(":")[2]
    _, program, *options = SERVICES["database"]["healthcheck"]["test"]
    subprocess.run([programs() / program, *options[:-1], "composed", "-p", port], check=True, capture_output=True)
    there = {URL: f"{postgres}/composed"}

    def command(name: str) -> list[str]:
        return [there.get(one, one) for one in arguments(name)]

    for _ in range(2):  # `up` runs it each time
        opened = CliRunner().invoke(app, [*command("opened"), "--json"], catch_exceptions=False)
        assert json.loads(opened.stdout)["texts"] > 2
    service = [one.replace("0.0.0.0", "127.0.0.1") for one in command("service")]
    with running(*service, "--port", "0", "--json", cwd=tmp_path) as (_, told):
        assert ask(f"{told['url']}/ready") == (200, {"status": "ok"})
        _, _, *check = SERVICES["service"]["healthcheck"]["test"]
        check[1] = check[1].replace("http://127.0.0.1:8000", told["url"])
        subprocess.run([sys.executable, *check], check=True, timeout=30)
        with psycopg.connect(f"{postgres}/postgres", autocommit=True) as admin:
            admin.execute("DROP DATABASE composed WITH (FORCE)")
        for _ in range(50):
            if subprocess.run([sys.executable, *check], capture_output=True, timeout=30, check=False).returncode:
                break
            time.sleep(0.1)
        else:
            pytest.fail("the service counts as healthy without its database")
        with contextlib.suppress(urllib.error.HTTPError):
            ask(f"{told['url']}/ready")


def test_a_page_that_ends_leaves_no_key_that_holds(tmp_path):
    """They do not pile up from start to start; nor does the demo's, see `test_serve`."""
    sys.path.insert(0, str(SHOP))
    try:
        import shop
    finally:
        sys.path.remove(str(SHOP))
    from experiments.storefront.auth import Keys, list_keys
    from experiments.storefront.slots import open_storefront

    database = str(tmp_path / "demo.db")
    open_storefront(database).dispose()
    with shop.key_of_page(database) as key:
        assert Keys(open_storefront(database)).find(key).scopes == {"decide", "reward"}
    assert [bool(one.revoked_at) for one in list_keys(open_storefront(database))] == [True]
