"""The page of a report, as a file; how it behaves in a browser is tested in test_browser.py."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distmarl.report.catalogue import FIGURES
from distmarl.report.page import run_facts
from distmarl.report.page import table as page_table
from distmarl.report.page.inline_figures import lone_places
from distmarl.report.write import delete_report
from distmarl.results.store import Store
from distmarl.results.tables import BASELINES, FAILURES, NASH_GAPS
from tests.places import end_session, start_session, write_report
from tests.report.pages import HOSTILE, TRACEBACK, Page, baseline_row, gap_row, grid_store, single_store, write_page
from tests.report.results_folders import commit_points, failure_row, grid_of, start_folder


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(write_page(single_store(tmp_path_factory.mktemp("single"), details=True)))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(write_page(grid_store(tmp_path_factory.mktemp("grid"))))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_its_words(name):
    caption = FIGURES[name].caption
    for words in (caption.title, caption.shows, caption.computed, caption.alternative):
        assert len(words.split()) >= 3
    assert [other.caption.title for other in FIGURES.values()].count(caption.title) == 1


@pytest.mark.parametrize("kind", ["single", "grid"])
def test_every_id_is_there_once_and_whatever_is_referred_to_is_there(kind, request):
    page = request.getfixturevalue(kind)
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    references = set(re.findall(r'(?:url\(|href=")#([^)"]+)', page.source))
    references |= {attrs["aria-labelledby"] for _, attrs, _ in page.elements if "aria-labelledby" in attrs}
    assert len(references) > 20
    assert references <= set(ids)


def test_figures_are_pictures_with_words_for_those_who_do_not_see_them(single, grid):
    for page, n_figures in ((single, 8), (grid, 11)):
        pictures = page.all("svg")
        assert len(pictures) == len(page.all("figcaption")) == n_figures
        assert all(attrs["role"] == "img" and len(attrs["aria-label"]) > 20 for attrs, _ in pictures)
    drawn = {attrs["id"] for attrs, _ in grid.all("figure")}
    assert drawn == set(FIGURES) - {"return_vs_samples"}, "which needs learners"
    assert "80.33 at k = 1; 99.67 at k = 30" in single.all("svg")[0][0]["aria-label"]


def test_whatever_users_wrote_is_text(grid):
    assert [attrs for attrs, _ in grid.all("script")] == [{}]
    assert grid.all("img") == []
    assert [attrs for _, attrs, _ in grid.elements if any(name.startswith("on") for name in attrs)] == []
    for place in ("td", "option", "pre", "summary", "text"):
        assert any("<script>alert(1)" in text for _, text in grid.all(place)), place


def test_only_the_script_of_the_page_may_run(grid):
    (policy,) = [attrs["content"] for attrs, _ in grid.all("meta") if "http-equiv" in attrs]
    digest = base64.b64encode(hashlib.sha256(grid.all("script")[0][1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_the_page_asks_for_nothing(single, grid):
    for page in (single, grid):
        loaded = [attrs for _, attrs, _ in page.elements if "src" in attrs]
        assert loaded == []
        assert [attrs["href"] for attrs, _ in page.all("link")] == ["data:,"]
        assert "@import" not in page.source
        assert not re.search(r"url\((?!#)", page.source)


def test_the_page_is_the_same_bytes_each_time(tmp_path):
    store = single_store(tmp_path)
    assert write_page(store).read_bytes() == write_page(store).read_bytes()


def test_an_unfinished_sweep_says_so_on_top(single, grid):
    assert "18 of 24 evaluations" in grid.text()
    assert grid.text().index("This sweep is unfinished") < grid.text().index("What seeing more is worth")
    assert "unfinished" not in single.text()


def test_failures_are_folded_with_their_tracebacks(single, grid):
    failures = grid.all("details", **{"class": "failure"})
    assert len(failures) == 2
    assert all("open" not in attrs for attrs, _ in failures)
    assert TRACEBACK in failures[0][1]
    assert "2 tasks failed" in grid.text()
    assert single.all("details", **{"class": "failure"}) == []
    assert "failed and" not in single.text()


@pytest.mark.usefixtures("blank_figures")
def test_of_many_failures_the_first_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(run_facts, "MAX_FAILURES", 2)
    store = single_store(tmp_path)
    store.commit("g_learn", [(FAILURES, [failure_row("only", k) for k in (3, 4, 5)])])
    page = Page(write_page(store))
    assert len(page.all("details", **{"class": "failure"})) == 2
    assert "The first 2 of 3; all are in the table failures." in page.text()


@pytest.mark.usefixtures("blank_figures")
def test_the_table_has_a_row_for_each_k_however_many_evaluations_there_are(tmp_path):
    for n_seeds in (2, 40):
        store = start_folder(tmp_path / str(n_seeds), n_eval_seeds=n_seeds)
        commit_points(store, grid_of(["only"], [1, 2], n_seeds))
        assert Page(write_page(store)).rows("results") == 2


@pytest.mark.usefixtures("blank_figures")
def test_a_long_table_says_where_the_rest_is(tmp_path, monkeypatch):
    monkeypatch.setattr(page_table, "MAX_ROWS", 3)
    page = Page(write_page(single_store(tmp_path)))
    assert page.rows("results") == 3
    assert "The first 3 of 4 rows; all are in the table summary." in page.text()


def test_the_headline_has_the_ends_of_the_curve(single):
    tiles = [" ".join(text.split()) for _, text in single.all("dd")][:4]
    assert tiles[0].startswith("99.67 95 % interval 98.23 to 101.10")
    assert tiles[1].startswith("80.33 ")
    assert tiles[2] == "+24.1 % +19.33 from k = 1 to k = 30"
    assert tiles[3] == "k = 10 of 99.67, from k = n = 30, by rollouts"


@pytest.mark.usefixtures("blank_figures")
def test_without_full_information_nothing_is_guessed(tmp_path):
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1, 2], 2))
    assert "not known the sweep has neither k = n nor the baseline full_information" in Page(write_page(store)).text()


def test_the_grids_headline_is_a_table(grid):
    assert grid.rows("headlines") == 3
    assert "95 % at k" in grid.text()


def test_tables_are_there_where_they_have_rows(single, grid):
    assert (single.rows("certificates"), grid.rows("certificates")) == (4, 9)
    assert (single.rows("alternations"), grid.rows("alternations")) == (2, 6)
    assert (single.rows("gaps"), grid.rows("gaps")) == (0, 30)
    assert (single.rows("baselines"), grid.rows("baselines")) == (0, 3)
    assert "8 of 9 trainings reached their convergence threshold" in grid.text()
    assert "the largest certified bound of the error of a value function is 2.5e-01" in grid.text()


@pytest.mark.usefixtures("blank_figures")
def test_what_was_run_is_told_for_every_session(tmp_path):
    store = single_store(tmp_path)
    session = {
        "command": ["distmarl", "my sweep.yaml", HOSTILE],
        "started_at": "2026-01-02T03:04:05+00:00",
        "distmarl": "0.1.0",
        "python": "3.11.7",
        "packages": {"numpy": "2.4.6"},
        "hostname": "node-7",
        "platform": "Linux",
        "commit": "abc",
        "dirty": True,
        "resources": {"address": "local", "nodes": [{"CPU": 2.0, "memory": 2**31}]},
    }
    resolved = {"name": "tiny", "experiment": {"k_values": [1, 2, 10, 30], "n_eval_seeds": 3}}
    start_session(tmp_path, "tiny", resolved, session, overwrite=False)
    running = Page(write_page(store)).text()
    assert "The last session has not ended." in running
    end_session(tmp_path, {"ended_at": "2026-01-02T03:06:10+00:00", "outcome": "ended", "done": 7, "failed": 1})
    page = Page(write_page(store))
    assert "Ended 02 Jan 2026, 03:06 UTC, after 2 min 5 s in all." in page.text()
    last, first = page.all("details", **{"class": "session"})
    words = " ".join(last[1].split())
    command = f"distmarl 'my sweep.yaml' '{HOSTILE}'"
    for expected in (command, "7 done, 1 failed", "numpy 2.4.6", "node-7", "abc with changes", "1 node, 2 CPUs, 2 GiB"):
        assert expected in words
    assert "killed, or still running" in first[1]
    assert "k_values: [1, 2, 10, 30]" in page.text()


@pytest.mark.usefixtures("blank_figures")
def test_links_lead_to_what_lies_beside_the_page(tmp_path):
    page = Page(write_page(single_store(tmp_path)))
    links = [attrs["href"] for attrs, _ in page.all("a") if not attrs["href"].startswith("#")]
    assert {"evaluations/data.parquet", "summary/data.parquet", "sweep.yaml", "reward_vs_k.png"} <= set(links)
    assert all((tmp_path / link).is_file() for link in links)


@pytest.mark.usefixtures("blank_figures")
def test_the_code_to_copy_gives_the_numbers_of_the_page(tmp_path, capsys):
    store = single_store(tmp_path / "it's")
    page = Page(write_page(store))
    names: dict[str, pd.DataFrame] = {}
    exec(page.all("pre", id="snippet")[0][1], names)
    shown = capsys.readouterr().out
    expected = write_report(tmp_path / "it's").numbers.summary
    assert names["summary"]["mean_return"].tolist() == expected["mean_return"].tolist()
    assert "99.666667" in shown


def welfare_row(name: str, k: int, quantity: str, value: float) -> dict[str, Any]:
    return gap_row(name, k, quantity) | {"value": value, "horizon": 50}


@pytest.mark.usefixtures("blank_figures")
def test_shares_of_several_settings_are_marked_where_others_may_earn_more(tmp_path):
    store = grid_store(tmp_path, failed=False)
    known = [("a", "welfare_upper", 20.0), ("b", "welfare_upper", 1.0), ("c", "welfare_lower", 5.0)]
    store.commit("welfare", [(NASH_GAPS, [welfare_row(name, 10, *about) for name, *about in known])])
    page = Page(write_page(store))
    inside = page.source.partition('<table id="headlines"')[2].partition("</table>")[0]
    rows = inside.partition("<tbody>")[2].split("</tr>")[:3]
    assert ["†" in row for row in rows] == [True, False, True]
    assert "† marks a share of what the setting's local policy can earn, not of what is possible" in page.text()


def store_that_asks_for(folder: Path, more: str) -> Store:
    """Return the store of a sweep of one setting, whose file asks for something more."""
    store = single_store(folder)
    asked = f"{{k_values: [1, 2, 10, 30], n_eval_seeds: 3, {more}}}"
    (folder / "sweep.yaml").write_text(f"name: tiny\nenvironment: {{name: robots}}\nexperiment: {asked}\n")
    return store


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize(("most", "is_told"), [(20.0, True), (1.0, False)])
def test_a_share_of_one_setting_has_its_caveat_where_only_a_ceiling_of_the_gap_is_known(tmp_path, most, is_told):
    store = store_that_asks_for(tmp_path, "nash_gap: estimate")
    gap = welfare_row("only", 30, "welfare_upper", most) | {"method": "estimate"}
    store.commit("nash_gap", [(NASH_GAPS, [gap])])
    page = Page(write_page(store)).text()
    assert f"Welfare gap at k = 30 up to {most:.2f}" in page
    assert ("not of what is possible" in page) == is_told


@pytest.mark.usefixtures("blank_figures")
@pytest.mark.parametrize(("value", "is_told"), [(99.7, True), (99.6, False)])
def test_what_a_pair_earns_that_sees_nobody_is_beside_what_seeing_earns(tmp_path, value, is_told):
    store = store_that_asks_for(tmp_path, "baselines: [blind]")
    rows = [baseline_row("only", "blind", 1.0, "rollouts"), baseline_row("only", "blind", value)]
    store.commit("baselines", [(BASELINES, rows)])
    page = Page(write_page(store)).text()
    assert f"Reward of seeing nobody {value:.2f}" in page
    assert ("no less than what is earned at k = 30" in page) == is_told


def test_shares_have_no_mark_where_nothing_else_is_known(grid):
    assert "†" not in grid.text()


@pytest.mark.usefixtures("blank_figures")
def test_deleting_a_report_deletes_its_page(tmp_path):
    store = single_store(tmp_path)
    page = write_page(store)
    delete_report(store.folder)
    assert not page.exists()


def test_all_elements_are_closed(single, grid):
    assert single.unclosed == grid.unclosed == []


@pytest.mark.parametrize(
    ("is_wide", "alone"),
    [
        ([False], {0}),
        ([False, False, False], {0}),
        ([False, False, False, False], {0, 3}),
        ([False, False, True, False, False], {0, 1}),
        ([True, False, True], {1}),
    ],
)
def test_figures_leave_no_holes_in_two_columns(is_wide, alone):
    assert lone_places(is_wide) == alone
