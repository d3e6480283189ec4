"""The run folder: resolved configuration, database, summary, report; finished, or resumed where it was stopped."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jinja2 import UndefinedError

from copyloom import InputError, Report
from embeddings.database import open_database
from embeddings.folders import held, replacing
from experiments.campaigns.given import Given, given_texts
from experiments.campaigns.ledger import Ledger
from experiments.nested import numbers_in
from experiments.reports.campaign import campaign_data, write_campaign_report
from experiments.reports.report import write_report
from experiments.simulation.build import build
from experiments.simulation.config import RunConfig
from experiments.simulation.identity import known_as
from experiments.simulation.results import report_data
from experiments.tracking import Record

CONFIG, DATABASE, SUMMARY, REPORT_DATA, REPORT = (
    "config.yaml",
    "study.sqlite",
    "summary.json",
    "report.json",
    "report.html",
)
CAMPAIGN = "campaign.html"
_NAMED = 4
_AGAIN = "run the study again with --force"


def run_study(
    config: RunConfig, out: Path, report: Report, force: bool = False, memo: Path | None = None
) -> dict[str, Any]:
    """Run the study of `config` in the folder `out`, or go on with it, and return what the report shows.

    A folder with an unfinished study of the same configuration is resumed, what is on record is neither written nor
    played again; a finished one is left as it is, unless it is forced to be played anew. A folder `memo` keeps what is
    written for other studies: see `experiments.campaigns.memo`.

    Raises
    ------
    InputError
        If the folder cannot be written or holds a study of another configuration.
    """
    with held(out, "run", "--out"):
        given = given_texts(config)
        engine = open_database(out / DATABASE)
        try:
            identity = known_as(config, given, Ledger(engine).config)
            ledger = Ledger(engine, identity)  # refuses other settings before anything is deleted
            if not force and (out / SUMMARY).exists():
                if not ledger.begun:
                    raise InputError(f"{out} holds a study of an older Copyloom, and its report; {_AGAIN}, or choose "
                                     "another --out")  # fmt: skip
                report("this study is finished; --force plays it anew", config.rounds, config.rounds)
                return finished(out)
            if force:
                engine.dispose()
                _delete(out)
                engine = open_database(out / DATABASE)
                ledger = Ledger(engine, identity)
            return _played(config, given, ledger, out, report, memo)
        finally:
            engine.dispose()


def _played(
    config: RunConfig, given: Given, ledger: Ledger, out: Path, report: Report, memo: Path | None
) -> dict[str, Any]:
    """Play what is not on record yet, write the folder's files, and return what the report shows."""
    started = time.perf_counter()
    study = build(config, given, ledger, report, memo)
    rounds = len(study.campaigns[0].state.snapshots)
    if rounds:
        report(f"resuming after round {rounds}", rounds, config.rounds)
    resolved = study.config.model_dump(mode="json")
    _write(out / CONFIG, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))
    study.run(ledger)
    data = report_data(study, time.perf_counter() - started)
    _write(out / REPORT_DATA, json.dumps(data, ensure_ascii=False, indent=1))
    write_report(data, out / REPORT)
    _write(out / SUMMARY, json.dumps(data["summary"], ensure_ascii=False, indent=2) + "\n")
    return data


def record_of(data: Mapping[str, Any], out: Path) -> Record:
    """Return a finished run as it is tracked: settings, expected CTR of each snapshot over the seeds, report."""
    summary = data["summary"]
    curves: dict[str, list[list[float]]] = defaultdict(list)
    for one in data["campaigns"]:
        mixing = "mixing" if one["mixing"] else "no mixing"
        curves[f"expected_ctr/{one['world']}, {mixing}, {one['policy']}"].append(one["expected_ctr"])
    numbers = numbers_in({name: value for name, value in summary.items() if name not in ("config", "versions")})
    series = {name: np.mean(some, axis=0).tolist() for name, some in curves.items()}
    return Record(out.name, summary["config"], numbers, series, [out / REPORT, out / SUMMARY, out / CONFIG])


def _delete(out: Path) -> None:
    """Delete the study in a folder: its summary first, so that what remains after a kill is no finished one."""
    for file in (out / SUMMARY, *out.glob(f"{DATABASE}*"), out / REPORT_DATA, out / REPORT, out / CAMPAIGN):
        file.unlink(missing_ok=True)


def render(out: Path) -> Path:
    """Draw the report of a finished run again and return its path.

    Raises
    ------
    InputError
        If the folder holds no finished run.
    """
    data = finished(out)
    try:
        write_report(data, out / REPORT)
    except (KeyError, TypeError, AttributeError, UndefinedError) as error:
        raise InputError(f"{out / REPORT_DATA} is damaged ({error!r} is missing or wrong); {_AGAIN}") from error
    return out / REPORT


def render_campaign(out: Path, name: str, page: Path | None = None) -> Path:
    """Draw the report of one campaign of a run, finished or not, from its ledger, and return its path.

    True rates are shown where the run is finished.

    Parameters
    ----------
    out : Path
        Run folder.
    name : str
        Of the campaign.
    page : Path, optional
        Where to write it; ``campaign.html`` in the run folder unless given.

    Raises
    ------
    InputError
        If the folder holds no run, or no such campaign.
    """
    with recorded(out) as ledger:
        names = ledger.names()
        if name not in names:
            near = get_close_matches(name, names, _NAMED, cutoff=0) or ["none"]
            raise InputError(f"there is no campaign {name!r} among the {len(names)} of {out}; it has {'; '.join(near)}")
        events = ledger.events(name)
    known = true_campaigns(out).get(name)
    path = page or out / CAMPAIGN
    rates = np.array(known["true_rates"]) if known else None
    write_campaign_report(campaign_data(name, events, rates), path)
    return path


@contextmanager
def recorded(out: Path) -> Iterator[Ledger]:
    """Open the ledger of a run, finished or not, to read.

    Raises
    ------
    InputError
        If the folder holds no run.
    """
    if not (out / DATABASE).is_file():
        raise InputError(f"{out} holds no run ({DATABASE} is missing); give a folder such as runs/quickstart")
    engine = open_database(out / DATABASE, create=False)
    try:
        yield Ledger(engine)
    finally:
        engine.dispose()


def true_campaigns(out: Path) -> dict[str, dict[str, Any]]:
    """Return what only the simulation knows of the campaigns of a run, by name; nothing before it is finished.

    Each has its ``seed``, ``world``, ``policy`` and ``mixing``, ``expected_ctr`` of each snapshot and ``true_rates`` of
    its texts.
    """
    return {one["campaign"]: one for one in finished(out).get("campaigns", ())} if (out / SUMMARY).exists() else {}


def finished(out: Path) -> dict[str, Any]:
    """Return what the report of a finished run shows."""
    path = out / REPORT_DATA
    if not path.is_file():
        raise InputError(
            f"{out} holds no finished run ({REPORT_DATA} is missing); give a folder such as runs/quickstart"
        )
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is damaged ({error}); {_AGAIN}") from error
    return data


def _write(path: Path, content: str) -> None:
    with replacing(path) as partial:
        partial.write_text(content, encoding="utf-8")
