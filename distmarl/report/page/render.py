"""The page of a report: one HTML file with everything in it, for a browser, a phone or a printer.

It asks the network for nothing, and a content security policy in it forbids that: whatever a sweep's names,
labels and tracebacks hold, only the page's own script runs.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from distmarl.report.catalogue import FIGURES
from distmarl.report.numbers import Numbers
from distmarl.report.page.headline import SHARE, Headline, find_headlines, reached_text
from distmarl.report.page.inline_figures import dark_colours, page_figures
from distmarl.report.page.page_tables import PAGE_TABLES
from distmarl.report.page.run_facts import failures, run_facts
from distmarl.report.page.softmax_notes import softmax_notes
from distmarl.report.page.table import filled
from distmarl.report.returns import decimals_of
from distmarl.results.folder import PROVENANCE_FILE, SWEEP_FILE
from distmarl.results.snapshot import DATA_FILE
from distmarl.results.storage.opening import is_on_disk
from distmarl.results.tables import TABLES
from distmarl.version import __version__
from distmarl.wording import fixed, harmless

MAX_CHARACTERS = 100_000  # of the sweep file

SNIPPET = """\
import pandas as pd

folder = {folder!r}  # {is_what}
settings = pd.read_parquet(f"{{folder}}/settings").query("in_sweep")[["setting_id", "label"]]
summary = settings.merge(pd.read_parquet(f"{{folder}}/summary"), on="setting_id")
print(summary[["label", "k", "mean_return", "ci95_low", "ci95_high"]])

import distmarl as dm

results = dm.open(folder)  # the tables, figures and policies
print(results.points())
"""


def render_page(
    numbers: Numbers, drawn: Mapping[str, Figure], skipped: Mapping[str, str], *, is_beside: bool = True
) -> str:
    """Return the page of a results folder as HTML.

    Parameters
    ----------
    numbers : Numbers
        What it shows.
    drawn : mapping
        The figures, by their names.
    skipped : mapping
        Why the others are missed, by their names.
    is_beside : bool
        Whether it shall lie in the results folder.
    """
    whole = Path(numbers.folder.path).as_uri() if is_on_disk(numbers.folder.name) else numbers.folder.name
    found, decimals = find_headlines(numbers), decimals_of(numbers.summary)
    facts = run_facts(numbers.provenance, _beginning(numbers.sweep_file))
    labels = dict(zip(numbers.settings["setting_id"], numbers.settings["label"], strict=True))
    figures = page_figures(drawn, _reading(found, decimals))
    shown = [table for each in PAGE_TABLES.values() if (table := filled(each, numbers)) is not None]
    places = {place for table in shown for place in table.settings}
    script = _packaged("page.js")
    return _template().render(
        version=__version__,
        name=facts.sweep,
        style=_packaged("page.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        dark_colours=dark_colours(figures),
        unfinished=numbers.unfinished_by_kind,
        facts=facts,
        counts=_counts(numbers.summary),
        headlines=found,
        share=SHARE,
        reached_text=reached_text,
        decimals=decimals,
        figures=figures,
        skipped=[(FIGURES[name].caption.title, reason) for name, reason in skipped.items()],
        labels=[label for label in labels.values() if label][: 1 + max(places, default=-1)],
        n_settings=len(labels),
        tables=shown,
        failures=failures(numbers.failures, labels),
        n_failures=len(numbers.failures),
        at_minimum=softmax_notes(numbers.alternations),
        tables_are="beside this page" if is_beside else f"in {numbers.folder}",
        links=_links(numbers.files, "" if is_beside else f"{whole}/"),
        snippet=SNIPPET.format(
            folder=numbers.folder.describe(""), is_what="where this page lies" if is_beside else "the results"
        ),
    )


def _reading(found: list[Headline], decimals: int) -> str:
    """Return what the first figure shows of a single setting, in numbers."""
    if len(found) > 1:
        return ""
    ends = {row["k"]: row["known_return"] for row in (found[0].first, found[0].last)}
    return "".join(f"; {fixed(value, decimals)} at k = {k}" for k, value in ends.items())


def _beginning(settings_file: str) -> str:
    """Return a sweep file as far as a page may hold it; a grid can list very many values."""
    if len(settings_file) <= MAX_CHARACTERS:
        return settings_file
    return f"{settings_file[:MAX_CHARACTERS]}\n# … and so on: all of it is in {SWEEP_FILE}"


def _counts(summary: pd.DataFrame) -> dict[str, int]:
    return {
        "settings": summary["setting_id"].nunique(),
        "k": summary["k"].nunique(),
        "rollouts": int(summary["n_rollouts"].sum()),
        "trainings": int(summary["n_train_seeds"].max()),
        "seeds": int(summary["n_seeds"].max()),
    }


def _links(there: set[str], start: str) -> list[tuple[str, str]]:
    """Return the published tables and the files beside them: names, and where they lie, seen from the page."""
    tables = [(name, f"{start}{name}/{DATA_FILE}") for name in TABLES if name in there]
    return [*tables, *((name, f"{start}{name}") for name in (SWEEP_FILE, PROVENANCE_FILE) if name in there)]


def _printed(value: Any) -> Any:
    """Return what is put into the page: of text, control characters are spelt out."""
    return harmless(value) if type(value) is str else value


@cache
def _packaged(name: str) -> str:
    return resources.files("distmarl.report.page").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(
        finalize=_printed, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["fixed"] = fixed
    return environment.from_string(_packaged("page.html"))
