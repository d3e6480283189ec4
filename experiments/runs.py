"""The run folder: resolved configuration, database, summary, report; finished, or resumed where it was stopped."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from copyloom import InputError
from embeddings.database import open_database
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
    resolved = config.model_dump(mode="json")
    _prepare(out, resolved)
    torch.manual_seed(config.seed)
    database = out / DATABASE
    if (out / SUMMARY).exists():
        for file in out.glob(f"{DATABASE}*"):
            file.unlink()
        (out / SUMMARY).unlink()
    engine = open_database(database)
    try:
        ledger = Ledger(engine, json.dumps(resolved, sort_keys=True))
        if ledger.rounds:
            report(f"resuming after round {ledger.rounds}", ledger.rounds, config.rounds)
        prepared = study.build(config, engine, report)
        loop.run(prepared, ledger, lambda done, total: report("showing texts to shoppers", done, total))
        data = report_data(prepared, time.perf_counter() - started)
    finally:
        engine.dispose()
    _write(out / REPORT_DATA, json.dumps(data, ensure_ascii=False, indent=1))
    write_report(data, out / REPORT)
    _write(out / SUMMARY, json.dumps(data["summary"], ensure_ascii=False, indent=2) + "\n")
    return data


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
    write_report(data, out / REPORT)
    return out / REPORT


def _prepare(out: Path, resolved: dict[str, Any]) -> None:
    config = out / CONFIG
    try:
        out.mkdir(parents=True, exist_ok=True)
        if config.exists() and yaml.safe_load(config.read_text(encoding="utf-8")) != resolved:
            raise InputError(f"{out} holds a run with other settings; choose another --out, or delete the folder")
        _write(config, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))
    except OSError as error:
        raise InputError(f"the folder {out} cannot be written ({error.strerror}); choose another --out") from error


def _write(path: Path, content: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(content, encoding="utf-8")
    os.replace(partial, path)
