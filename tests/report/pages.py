"""Results folders whose pages are looked at, and a reader of pages."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from distmarl.results.store import Store
from distmarl.results.tables import BASELINES, FAILURES, NASH_GAPS
from tests.places import write_report
from tests.report.results_folders import commit_details, commit_points, failure_row, grid_of, start_folder

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
TRACEBACK = f"Traceback (most recent call last):\n  in g_learn\nValueError: {HOSTILE}"
VOID = {"meta", "link", "img", "br", "hr", "input"}


def write_page(store: Store) -> Path:
    store.publish()
    return Path(write_report(store.folder).page)


def single_store(folder: Path, *, details: bool = False) -> Store:
    """Return a finished sweep of one setting without failures; with details, its page has all the figures it can."""
    store = start_folder(folder, k_values=[1, 2, 10, 30], n_eval_seeds=3)
    commit_points(store, grid_of(["only"], [1, 2, 10, 30], 3), value=lambda _, k, seed: 100 - 20 / k + seed % 2)
    if details:
        commit_details(store, ["only"], [1, 2, 10, 30])
    return store


def grid_store(folder: Path, *, failed: bool = True) -> Store:
    """Return an unfinished sweep of three settings with hostile names, gaps, baselines and failures."""
    settings: dict[str, dict[str, Any]] = {
        "a": {"environment.label": HOSTILE, "environment.n_agents": 30},
        "b": {"environment.label": "plain", "environment.n_agents": 30},
        "c": {"environment.label": HOSTILE, "environment.n_agents": 60},
    }
    store = start_folder(folder, k_values=[1, 2, 10, 30], n_eval_seeds=2, settings=settings)
    sweep_file = folder / "sweep.yaml"
    asked = "{k_values: [1, 2, 10, 30], n_eval_seeds: 2, nash_gap: exact, baselines: [random, full_information]}"
    sweep_file.write_text(f"name: tiny\nenvironment: {{name: robots}}\nexperiment: {asked}\n# {HOSTILE}\n")
    commit_points(store, grid_of("abc", [1, 2, 10], 2), unconverged=[("a", 2)])
    commit_details(store, "abc", [1, 2, 10])
    gaps = [gap_row(name, k, quantity) for name in "abc" for k in (1, 2) for quantity in QUANTITIES]
    store.commit("nash_gap", [(NASH_GAPS, gaps)])
    store.commit("baselines", [(BASELINES, [baseline_row(name, "full_information", 30.0) for name in "abc"])])
    if failed:
        failure = {"error": f"ValueError: {HOSTILE}", "traceback": TRACEBACK, "arguments": "k=30", "hostname": "node-1"}
        store.commit("g_learn-a-30", [(FAILURES, [failure_row("a", 30) | failure])])
        store.commit("g_learn-b-30", [(FAILURES, [failure_row("b", 30)])])
    return store


QUANTITIES = ("joint_value", "global_lower", "global_upper", "local_lower", "local_upper")


def gap_row(name: str, k: int, quantity: str) -> dict[str, Any]:
    return {
        "sweep": "tiny",
        "setting_id": name,
        "k": k,
        "train_seed": 0,
        "method": "exact",
        "quantity": quantity,
        "n_agents": 30,
        "utility": "team",
        "value": 1.0 / k + (0.5 if quantity.endswith("upper") else 0),
        "error": 1e-7,
        "kind": "exact",
        "of": "what a better policy gains",
    }


def baseline_row(name: str, baseline: str, value: float, method: str = "exact") -> dict[str, Any]:
    return {
        "sweep": "tiny",
        "setting_id": name,
        "baseline": baseline,
        "method": method,
        "n_agents": 30,
        "horizon": 50,
        "value": value,
        "error": 1e-8,
        "n_rollouts": 0,
        "converged": True,
    }


class Page(HTMLParser):
    """A page as its elements: names with attributes, and the text in each."""

    def __init__(self, path: Path) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self._open: list[int] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        self.unclosed = [self.elements[place][0] for place in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self._open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        opened = self.elements[self._open.pop()][0]
        if opened != tag:
            raise ValueError(f"<{opened}> is closed by </{tag}>")

    def handle_data(self, data: str) -> None:
        for place in self._open:
            self.elements[place][2].append(data)

    def all(self, tag: str, **attributes: str) -> list[tuple[dict[str, str | None], str]]:
        """Return the attributes and the text of the elements with a name and some attributes."""
        return [
            (attrs, "".join(text))
            for name, attrs, text in self.elements
            if name == tag and all(attrs.get(key) == value for key, value in attributes.items())
        ]

    def text(self) -> str:
        return " ".join(self.all("body")[0][1].split())

    def rows(self, table: str) -> int:
        """Return how many rows a table has, but for its head."""
        inside = self.source.partition(f'<table id="{table}"')[2].partition("</table>")[0]
        return inside.partition("<tbody>")[2].count("<tr")
