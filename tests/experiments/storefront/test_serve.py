"""The commands: a demo as an engineer tries it first, a shop that is set up by hand, and what they refuse."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from copyloom import InputError
from experiments.commands.cli import app
from experiments.storefront.auth import list_keys
from experiments.storefront.service import as_browsers_send
from experiments.storefront.slots import open_storefront

COPYLOOM = [sys.executable, "-c", "from experiments.commands.start import main; main()"]
DEMO = ("serve", "--demo", "--model", "copyloom-tiny", "--json")


@contextlib.contextmanager
def running(*arguments: str, cwd: Path):
    """A service as a process of its own, and what it said in its first line."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*COPYLOOM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               cwd=cwd, env=environment)  # fmt: skip
    try:
        line = process.stdout.readline()
        if not line:
            pytest.fail(process.communicate(timeout=60)[1])
        yield process, json.loads(line)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        rest = process.communicate(timeout=60)
        print(*rest)


def ask(url: str, key: str | None = None, **body: Any) -> tuple[int, Any]:
    """Ask a service, on loopback, whatever proxy there is."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    request = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as said:
        return said.status, json.loads(said.read() or b"null")


def test_the_demo_serves_a_decision_and_takes_its_reward(tmp_path):
    engine = open_storefront(str(tmp_path / "demo.db"))
    with running(*DEMO, "--folder", ".", cwd=tmp_path) as (process, told):
        assert sorted(told) == ["key", "url"]
        assert told["url"].startswith("http://127.0.0.1:")
        assert ask(f"{told['url']}/ready") == (200, {"status": "ok"})
        status, decision = ask(f"{told['url']}/v1/decide", told["key"], event_id="e", slot="demo", unit_id="anna")
        assert status == 200
        assert decision["reason"] in ("bandit", "holdout")
        said = ask(f"{told['url']}/v1/reward", told["key"], event_id="e", reward_id="r", value=1)
        assert said == (202, {"state": "joined"})
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
        assert (process.returncode, out) == (0, "")
    with running(*DEMO, "--folder", ".", cwd=tmp_path) as (process, told):
        assert [bool(one.revoked_at) for one in list_keys(engine)] == [True, False]  # none is left that holds
        again = ask(f"{told['url']}/v1/decide", told["key"], event_id="e", slot="demo", unit_id="anna")[1]
        assert again == decision  # it goes on where it was
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
    engine.dispose()


def test_the_demo_leaves_nothing_behind(tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with running(*DEMO, cwd=tmp_path):
        assert list((tmp_path / "temporary").glob("copyloom-*/demo.db"))
    assert not list((tmp_path / "temporary").glob("copyloom-*"))


def said(*arguments: str, fails: int = 0) -> Any:
    """What a command printed as JSON, or its message."""
    result = CliRunner().invoke(app, [*arguments, *(["--json"] if not fails else [])], catch_exceptions=False)
    assert result.exit_code == fails, result.output
    return result.output if fails else json.loads(result.stdout)


def test_a_shop_is_set_up_by_hand_and_served(tmp_path):
    database = ["--database", str(tmp_path / "shop.db")]
    (tmp_path / "texts.txt").write_text("Warm boots.\nDry boots.\n")
    opened = said("slots", "open", "hero", *database, "--texts", str(tmp_path / "texts.txt"), "--set", "holdout=0",
                  "--segment-by", "device", "--segment", "mobile", "--by", "anna")  # fmt: skip
    assert (opened["texts"], opened["settings"]["holdout"]) == (2, 0)
    changed = said("slots", "set", "hero", "mode=off", "sticky_days=2", *database, "--reason", "trying")
    assert (changed["mode"], changed["sticky_days"]) == ("off", 2)
    listed = said("slots", "list", *database)["slots"]
    assert [(one["slot"], one["version"], one["settings"]["mode"]) for one in listed] == [("hero", 2, "off")]
    made = said("keys", "make", *database, "--name", "pages", "--scope", "decide", "--scope", "reward")
    assert made["scopes"] == ["decide", "reward"]
    assert said("worker", *database, "--once") == {"default/hero": {"closed": 0, "published": None, "written": 0}}
    with running("serve", *database, "--port", "0", "--json", cwd=tmp_path) as (_, told):
        assert list(told) == ["url"]
        decision = ask(f"{told['url']}/v1/decide", made["key"], event_id="e", slot="hero")[1]
        assert (decision["text"], decision["reason"]) == ("Warm boots.", "killed")
    log = tmp_path / "log.csv"
    assert said("slots", "log", "hero", *database, "--out", str(log)) == {"out": str(log), "events": 0}
    assert log.read_text().startswith('"at","event_id","snapshot","text","propensity"')
    assert ".parquet or .csv" in said("slots", "log", "hero", *database, "--out", str(tmp_path / "log.txt"), fails=2)
    assert said("keys", "revoke", made["prefix"], *database) == {"revoked": made["prefix"]}
    assert [bool(key["revoked_at"]) for key in said("keys", "list", *database)["keys"]] == [True]


def table(folder):
    (folder / "events.csv").write_text("type,event_id\nexpose,e1\n")
    return folder / "events.csv"


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://shop.example/", "https://shop.example"),
        ("HTTPS://Shop.example:443", "https://shop.example"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("*", "*"),
    ],
)
def test_an_origin_is_compared_as_browsers_send_it(given, sent):
    assert as_browsers_send(given) == sent


@pytest.mark.parametrize(
    "given",
    ["", "shop.example", "https://", "https://shop.example/cart", "https://shop.example?a=1", "ftp://shop.example",
     "https://me@shop.example", "https://shop.example:x", "https://a.example,https://b.example"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(given):
    with pytest.raises(InputError, match="scheme and host"):
        as_browsers_send(given)


@pytest.mark.parametrize("words", [["worker", "--database", "shop.db"], ["doctor"]])
def test_ctrl_c_of_a_worker_speaks_of_no_run_folder(words, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("experiments.storefront.slots.open_storefront", stop)
    monkeypatch.setattr("experiments.commands.doctor.examine", stop)
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, "run folder" in result.stderr) == (130, words == ["doctor"])


def test_the_example_shop_says_in_one_line_that_a_port_is_taken():
    import socket

    shop = Path(__file__).parents[3] / "examples" / "shop" / "shop.py"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = subprocess.run([sys.executable, str(shop), "--port", port], capture_output=True, text=True, timeout=30)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith(f"--port {port} cannot be used")
    assert result.stderr.count("\n") == 1


def test_what_cannot_be_done_is_said_in_one_line(tmp_path):
    database = ["--database", str(tmp_path / "shop.db")]
    assert "--demo" in said("serve", fails=2)
    assert "there is no database" in said("serve", *database, fails=2)
    assert "there is no database" in said("worker", *database, "--once", fails=2)
    assert "100/second" in said("serve", "--demo", "--rate-limit", "much", fails=2)
    assert "debug, info" in said("serve", "--demo", "--log-level", "loud", fails=2)
    for made in (["make", "--name", "a", "--scope", "read"], ["webhook", "make", "crm"]):
        assert "there is no database" in said("keys", *made, *database, fails=2)
    assert not (tmp_path / "shop.db").exists()
    said("slots", "open", "hero", *database)
    (tmp_path / "texts.txt").write_text("Warm boots.\nDry boots.\n")
    assert "import --slot hero" in said(
        "slots", "open", "hero", *database, "--texts", str(tmp_path / "texts.txt"), fails=2
    )
    assert "window_seconds" in said("slots", "set", "hero", "windw=1", *database, "--reason", "x", fails=2)
    assert "is a table; give JSON lines" in said("feed", str(table(tmp_path)), *database, fails=2)
    assert "https://shop.example" in said("serve", *database, "--origin", "shop.example", fails=2)
    assert "is no name of a slot" in said("slots", "open", "The Hero", *database, fails=2)
    assert "there is no slot 'footer'" in said(
        "slots", "set", "footer", "mode=off", *database, "--reason", "x", fails=2
    )
    assert "name=value" in said("slots", "set", "hero", "off", *database, "--reason", "x", fails=2)
    assert "mode" in said("slots", "set", "hero", "mode=of", *database, "--reason", "x", fails=2)
    assert "there is no scope" in said("keys", "make", *database, "--name", "a", "--scope", "all", fails=2)
    assert "no key" in said("keys", "revoke", "abc", *database, fails=2)


def test_a_port_that_is_taken_is_said(tmp_path):
    import socket

    database = ["--database", str(tmp_path / "shop.db")]
    said("slots", "open", "hero", *database)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        message = said("serve", *database, "--port", str(taken.getsockname()[1]), fails=2)
    assert "give another --host or --port" in message


def test_without_the_extra_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "structlog", None)
    assert "pip install 'copyloom[serve]'" in said("serve", "--demo", fails=2)
