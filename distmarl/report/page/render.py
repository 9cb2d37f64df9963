"""The page of a report: one HTML file with everything in it, for a browser, a phone or a printer.

It asks the network for nothing, and a content security policy in it forbids that: whatever a sweep's names,
labels and tracebacks hold, only the page's own script runs.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import pandas as pd
from jinja2 import Environment, StrictUndefined

import distmarl
from distmarl.config.checking import k_values
from distmarl.report.page.cells import PageTable
from distmarl.report.page.headline import SHARE, Headline, headlines
from distmarl.report.page.inline_figures import Makers, dark_colours, page_figures
from distmarl.report.page.run_facts import failures, run_facts
from distmarl.report.page.tables import (
    alternation_table,
    baselines_table,
    certificates_table,
    gaps_table,
    headline_table,
    reached_text,
    results_table,
)
from distmarl.report.text import decimals_of
from distmarl.results.folder import PAGE_FILE, PROVENANCE_FILE, SWEEP_FILE, read_provenance, read_sweep
from distmarl.results.settings import sweep_settings
from distmarl.results.snapshot import DATA_FILE, Snapshot
from distmarl.results.tables import ALTERNATIONS, EVALUATIONS, EXACT_RETURNS, FAILURES, SETTINGS, TABLES, TRAININGS

if TYPE_CHECKING:
    from distmarl.report.write import Numbers

SNIPPET = """\
import pandas as pd

folder = {folder!r}  # where this page lies
settings = pd.read_parquet(f"{{folder}}/settings").query("in_sweep")[["setting_id", "label"]]
summary = settings.merge(pd.read_parquet(f"{{folder}}/summary"), on="setting_id")
print(summary[["label", "k", "mean_return", "ci95_low", "ci95_high"]])

import distmarl as dm

results = dm.open(folder)  # the tables, figures and policies
print(results.points())
"""


def write_page(store: Snapshot, numbers: Numbers, makers: Makers) -> str:
    """Write the page of a results folder into it, and return its name.

    Parameters
    ----------
    store : Snapshot
        The tables of the results folder.
    numbers : Numbers
        What :func:`distmarl.report.write.read_numbers` returns.
    makers : mapping
        What :func:`distmarl.report.write.figure_makers` returns.

    Raises
    ------
    ResultsError
        When it cannot be written.
    """
    page = render_page(store, numbers, makers)
    with store.folder.writing(PAGE_FILE) as stream:
        stream.write(page.encode())
    return store.folder.describe(PAGE_FILE)


def render_page(store: Snapshot, numbers: Numbers, makers: Makers) -> str:
    """Return the page of a results folder as HTML.

    Parameters
    ----------
    store, numbers, makers
        As in :func:`write_page`.
    """
    places = setting_places(store)
    summary = numbers.summary.merge(places[["setting_id", "place"]], on="setting_id")
    found = headlines(summary, numbers.baselines, population_sizes(store))
    facts = run_facts(read_provenance(store.folder), store.folder.read(SWEEP_FILE).decode())
    drawn, skipped = page_figures(makers, _reading(found, decimals_of(summary)))
    shown = failures(store.read(FAILURES), dict(zip(places["setting_id"], places["label"], strict=True)))
    trainings = _trainings(store, places)
    script = _packaged("page.js")
    return _template().render(
        version=distmarl.__version__,
        name=facts.sweep,
        style=_packaged("page.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        dark_colours=dark_colours(drawn),
        unfinished=numbers.unfinished,
        facts=facts,
        counts=_counts(summary),
        headlines=found,
        share=SHARE,
        reached_text=reached_text,
        decimals=decimals_of(summary),
        figures=drawn,
        skipped=skipped,
        labels=[label for label in places["label"] if label],
        tables=_tables(store, numbers, summary, places, found, trainings),
        certificates=_certificates(trainings),
        failures=shown,
        n_failures=numbers.n_failures,
        links=_links(store),
        snippet=SNIPPET.format(folder=store.folder.describe("")),
    )


def setting_places(store: Snapshot) -> pd.DataFrame:
    """Return ``setting_id``, ``label`` and ``place`` (from 0, in the grid's order) of the sweep's settings."""
    settings = sweep_settings(store.read(SETTINGS))[["setting_id", "label"]]
    return settings.assign(place=range(len(settings)))


def population_sizes(store: Snapshot) -> dict[str, int]:
    """Return the number of local agents of each setting that has been evaluated, by its id."""
    sizes: dict[str, int] = {}
    for table in (EVALUATIONS, EXACT_RETURNS):
        unread = [name for name in table.schema.names if name not in (*table.key, "n_agents")]
        rows = store.read(table, without=unread).drop_duplicates("setting_id")
        sizes |= dict(zip(rows["setting_id"], rows["n_agents"], strict=True))
    return sizes


def _reading(found: list[Headline], decimals: int) -> str:
    """Return what the first figure shows of a single setting, in numbers."""
    if len(found) > 1:
        return ""
    ends = {row["k"]: row["known_return"] for row in (found[0].first, found[0].last)}
    return "".join(f"; {value:.{decimals}f} at k = {k}" for k, value in ends.items())


def _tables(
    store: Snapshot,
    numbers: Numbers,
    summary: pd.DataFrame,
    places: pd.DataFrame,
    found: list[Headline],
    trainings: pd.DataFrame,
) -> dict[str, PageTable]:
    """Return the tables by their names; some may have no rows."""
    decimals = decimals_of(summary)

    def placed(rows: pd.DataFrame, *by: str) -> pd.DataFrame:
        return places.merge(rows, on="setting_id").sort_values(["place", *by], kind="stable")

    tables = (
        headline_table(found, decimals),
        results_table(summary),
        baselines_table(placed(numbers.baselines), decimals),
        gaps_table(placed(numbers.nash_gaps, "k"), decimals),
        alternation_table(placed(store.read(ALTERNATIONS), "iteration"), decimals),
        certificates_table(trainings),
    )
    return {table.name: table for table in tables}


def _trainings(store: Snapshot, places: pd.DataFrame) -> pd.DataFrame:
    """Return the trainings that the sweep asks for."""
    trainings = places.merge(store.read(TRAININGS), on="setting_id").sort_values(["place", "k"], ignore_index=True)
    return trainings[trainings["k"].isin(k_values(read_sweep(store.folder).experiment))]


def _certificates(trainings: pd.DataFrame) -> dict[str, Any]:
    """Return what the certificates come down to."""
    return {
        "n": len(trainings),
        "n_converged": int(trainings["converged"].sum()),
        "largest_bound": float(trainings["bound"].max()),
        "methods": ", ".join(sorted(trainings["method"].dropna().unique())),
    }


def _counts(summary: pd.DataFrame) -> dict[str, int]:
    return {
        "settings": summary["setting_id"].nunique(),
        "k": summary["k"].nunique(),
        "rollouts": int(summary["n_rollouts"].sum()),
        "seeds": int(summary["n_seeds"].max()),
    }


def _links(store: Snapshot) -> list[tuple[str, str]]:
    """Return the published tables and the files beside them: names, and where they lie relative to the page."""
    there = set(store.folder.names())
    tables = [(name, f"{name}/{DATA_FILE}") for name in TABLES if name in there]
    return [*tables, *((name, name) for name in (SWEEP_FILE, PROVENANCE_FILE) if name in there)]


@cache
def _packaged(name: str) -> str:
    return resources.files("distmarl.report.page").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_packaged("page.html"))
