"""The run folder: resolved configuration, database, summary, report; finished, or resumed where it was stopped."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import yaml
from jinja2 import UndefinedError

from copyloom import InputError
from embeddings.database import open_database
from embeddings.folders import held, replacing
from experiments import loop, study
from experiments.config import RunConfig
from experiments.ledger import Ledger
from experiments.report import write_report
from experiments.summary import report_data

CONFIG, DATABASE, SUMMARY, REPORT_DATA, REPORT = (
    "config.yaml",
    "study.sqlite",
    "summary.json",
    "report.json",
    "report.html",
)


def run_study(config: RunConfig, out: Path, report: study.Report) -> dict[str, Any]:
    """Run the study of `config` in the folder `out`, or go on with it, and return what the report shows.

    A folder with an unfinished study of the same configuration is resumed; a finished one of the same configuration
    is run again and replaced by the same numbers.

    Raises
    ------
    InputError
        If the folder cannot be written or holds a study of another configuration.
    """
    started = time.perf_counter()
    with held(out, "run", "--out"):
        data = _run(config, out, report, started)
    _write(out / REPORT_DATA, json.dumps(data, ensure_ascii=False, indent=1))
    write_report(data, out / REPORT)
    _write(out / SUMMARY, json.dumps(data["summary"], ensure_ascii=False, indent=2) + "\n")
    return data


def _run(config: RunConfig, out: Path, report: study.Report, started: float) -> dict[str, Any]:
    given = study.given_texts(config)
    held_texts = {"texts": given.texts, "own": given.own if config.own else None}
    identity = json.dumps(
        {"config": config.model_dump(mode="json"), "subject": given.subject and given.subject.model_dump()}
        | held_texts,
        sort_keys=True,
        ensure_ascii=False,
    )
    if (out / SUMMARY).exists():
        engine = open_database(out / DATABASE)
        Ledger(engine, identity)  # refuses other settings before anything is deleted
        engine.dispose()
        for file in (*out.glob(f"{DATABASE}*"), *(out / name for name in (SUMMARY, REPORT_DATA, REPORT))):
            file.unlink(missing_ok=True)
    engine = open_database(out / DATABASE)
    try:
        ledger = Ledger(engine, identity)
        if ledger.rounds:
            report(f"resuming after round {ledger.rounds}", ledger.rounds, config.rounds)
        prepared = study.build(config, engine, report)
        resolved = prepared.config.model_dump(mode="json")
        _write(out / CONFIG, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))
        loop.run(prepared, ledger, lambda done, total: report("showing texts to shoppers", done, total))
        return report_data(prepared, time.perf_counter() - started)
    finally:
        engine.dispose()


def render(out: Path) -> Path:
    """Draw the report of a finished run again and return its path.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    path = out / REPORT_DATA
    if not path.is_file():
        raise InputError(
            f"{out} holds no finished run ({REPORT_DATA} is missing); give a folder such as runs/quickstart"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is damaged ({error}); run the study again") from error
    try:
        write_report(data, out / REPORT)
    except (KeyError, TypeError, AttributeError, UndefinedError) as error:
        raise InputError(f"{path} is damaged ({error!r} is missing or wrong); run the study again") from error
    return out / REPORT


def _write(path: Path, content: str) -> None:
    with replacing(path) as partial:
        partial.write_text(content, encoding="utf-8")
