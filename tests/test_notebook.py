"""An opened results folder gives back what the sweep computed."""

from __future__ import annotations

import doctest
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import distmarl as dm
from distmarl.report.catalogue import FIGURES
from distmarl.results.tables import TABLES
from distmarl.sweep.session import Interrupted
from tests.commands import REPOSITORY
from tests.places import write_report
from tests.report.results_folders import commit_points, grid_of, start_folder
from tests.results.bad_folders import BAD_FOLDERS
from tests.sweep.sweeps import TINY, changed, plan_of, run
from tests.sweep.test_session import StoppingExecutor

GRID = {**TINY, "grid": {"environment.n_agents": [6, 8], "evaluation.horizon": [5, 6]}}
GAME = """
import distmarl as dm

def small(*, n_agents, tilt=0.0):
    return dm.robots(n_agents=n_agents, n_global_states=2, n_local_states=2, n_global_actions=2, gamma=0.9 + tilt)
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(folder)
    return folder


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    run(folder, GRID)
    return folder


def test_every_table_is_an_attribute(finished: Path) -> None:
    r = dm.open(finished)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(r, name), pd.read_parquet(finished / name))
        pd.testing.assert_frame_equal(r.table(name), pd.read_parquet(finished / name))
        assert name in dir(r)


def test_a_stored_pair_is_worth_what_the_sweep_says(finished: Path) -> None:
    r = dm.open(finished)
    for row in r.evaluations.to_dict("records"):
        k, options = row["k"], {"n_rollouts": row["n_rollouts"], "horizon": row["horizon"], "seed": (0, row["seed"])}
        value = dm.evaluate(r.environment(), r.global_policy(k), r.local_policy(), k=k, **options)
        np.testing.assert_array_equal(value.returns, row["returns"])


def test_a_row_of_the_evaluations_is_played_again_bit_for_bit(grid: Path, finished: Path) -> None:
    r = dm.open(grid)
    for row in r.evaluations.to_dict("records"):
        value = r.evaluate(k=row["k"], seed=row["seed"], setting=row["setting_id"])
        assert (value.mean, value.std, value.mode_accuracy) == tuple(
            row[name] for name in ("mean_return", "std_return", "mode_accuracy")
        )
        np.testing.assert_array_equal(value.returns, row["returns"])
    assert dm.open(finished).evaluate(k=3, seed=7).mean not in dm.open(finished).evaluations["mean_return"].tolist()
    assert "evaluate(k=k, seed=seed, " in TABLES["evaluations"].schema.field("seed").metadata[b"description"].decode()


def test_a_deleted_table_is_told_of(finished: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(finished, tmp_path / "copy")
    shutil.rmtree(folder / "evaluations")
    (folder / "timings" / "data.parquet").unlink()
    with pytest.warns(
        UserWarning, match=r"copy: evaluations, timings: deleted, or not copied; run the sweep's command"
    ):
        r = dm.open(folder)
    assert "deleted     evaluations, timings; the sweep's command makes what is missing" in repr(r)
    for name in ("evaluations", "timings"):
        with pytest.raises(dm.DistmarlError, match=f"{name}: deleted, or not copied"):
            r.table(name)
    assert len(r.trainings) == 2


def test_a_stored_pair_is_evaluated_for_any_population(finished: Path) -> None:
    r = dm.open(finished)
    env = r.environment(n_agents=1000, gamma=0.5)
    assert (env.n_agents, env.gamma) == (1000, 0.5)
    assert r.environment().digest() == plan_of(TINY).jobs[0].environment.digest() != env.digest()
    assert dm.evaluate(env, r.global_policy(3), r.local_policy(), k=3).mean > 0


@pytest.mark.usefixtures("blank_figures")
def test_the_summary_is_the_reports(finished: Path) -> None:
    pd.testing.assert_frame_equal(dm.open(str(finished)).points(), write_report(finished).numbers.summary)


def test_the_figures_are_the_reports(finished: Path) -> None:
    r = dm.open(finished)
    assert [*r.figures] == [*FIGURES]
    assert len(r.figures) == len(FIGURES)
    for name, draw in r.figures.items():
        if name in ("nash_gap_vs_k", "price_of_subsampling", "scaling", "return_vs_samples"):
            continue  # nobody asked for gaps, a grid, or learners
        assert draw()._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
        assert f"{name}()" in repr(r.figures)
        assert name in dir(r.figures)
    assert r.figures.reward_vs_k().axes[0].get_ylabel() == "discounted return (reward)"


def test_a_figure_that_there_is_nothing_for_says_why(tmp_path: Path) -> None:
    commit_points(start_folder(tmp_path), grid_of(["only"], [1], 1), accuracy=lambda _, __: None)
    figures = dm.open(tmp_path).figures
    with pytest.raises(dm.DistmarlError, match="mode_accuracy_vs_k cannot be drawn: the mode accuracy needs"):
        figures.mode_accuracy_vs_k()
    with pytest.raises(dm.DistmarlError, match="nash_gap_vs_k cannot be drawn: the sweep has no such numbers"):
        figures.nash_gap_vs_k()


@pytest.mark.parametrize("given", ["id", "label", "keys", "short keys"])
def test_one_of_several_settings_is_named(grid: Path, given: str) -> None:
    r = dm.open(grid)
    row = r.settings.set_index("label").loc["n_agents=8, horizon=6"]
    setting = {
        "id": row["setting_id"],
        "label": "n_agents=8, horizon=6",
        "keys": {"environment.n_agents": 8, "evaluation.horizon": 6},
        "short keys": {"n_agents": 8, "horizon": 6},
    }[given]
    assert r.environment(setting).n_agents == 8
    policies = r.local_policies
    stored = policies.loc[policies["setting_id"] == row["setting_id"], "probability"].to_numpy().reshape(3, 3, 3)
    np.testing.assert_array_equal(r.local_policy(setting), stored)
    assert r.global_policy(3, setting).shape == (3, 10)


@pytest.mark.parametrize("setting", [None, "n_agents=7", {"n_agents": 7}, {"n_agents": 8}])
def test_an_unclear_setting_is_refused_with_a_list(grid: Path, setting: Any) -> None:
    r = dm.open(grid)
    with pytest.raises(dm.DistmarlError) as caught:
        r.local_policy(setting)
    message = str(caught.value)
    assert f"{grid} has 4; must name one by its id, label or grid values, got {setting!r}" in message
    for row in r.settings.to_dict("records"):
        assert f"  {row['setting_id']}  {row['label']}" in message


def test_a_misspelt_key_of_the_grid_is_refused(grid: Path) -> None:
    with pytest.raises(dm.DistmarlError, match=r"has had the key 'horizn'; did you mean 'horizon'\?"):
        dm.open(grid).local_policy({"horizn": 5})
    with pytest.raises(dm.DistmarlError, match=r"'evaluation\.horizn'; did you mean 'evaluation\.horizon'\?"):
        dm.open(grid).local_policy({"evaluation.horizn": 5})


def test_a_setting_of_an_earlier_sweep_file_is_found_by_its_id(tmp_path: Path) -> None:
    run(tmp_path)
    (old,) = dm.open(tmp_path).settings["setting_id"]
    run(tmp_path, changed(TINY, environment={"n_agents": 8}))
    r = dm.open(tmp_path)
    assert r.environment().n_agents == 8
    assert r.environment(old).n_agents == 6


def test_a_policy_that_was_not_trained_is_refused_with_those_that_were(finished: Path) -> None:
    with pytest.raises(dm.DistmarlError, match="has no global policy for k=2; trained are k = 1, 3"):
        dm.open(finished).global_policy(2)


def test_a_running_sweep_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, executor=StoppingExecutor(5))
    r = dm.open(tmp_path)
    assert r.local_policy().shape == (3, 3, 3)
    assert len(r.points()) == 1
    assert "unfinished  5 of 7 tasks done" in repr(r)
    run(tmp_path)
    assert len(r.points()) == 2
    assert "unfinished" not in repr(r)


def test_a_figure_of_a_folder_takes_a_width(finished: Path) -> None:
    assert dm.open(finished).figures.reward_vs_k(width=6.5).get_figwidth() == 6.5


def test_the_summary_is_a_table_like_any_other(finished: Path) -> None:
    r = dm.open(finished)
    assert r.summary["k"].tolist() == [1, 3]
    assert "label" not in r.summary
    assert "label" in r.points()


def test_the_example_of_opening_a_folder_runs(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(finished, tmp_path / "results" / "tiny")
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder().find(dm.open, "dm.open", globs={})
    assert doctest.DocTestRunner().run(example) == (0, 5)


def test_what_was_not_trained_yet_is_said(tmp_path: Path) -> None:
    start_folder(tmp_path)
    r = dm.open(tmp_path)
    for call in (r.local_policy, lambda: r.global_policy(1), r.points, lambda: r.figures.reward_vs_k()):
        with pytest.raises(dm.DistmarlError, match=r"yet"):
            call()
    assert "unfinished  0 of 7 tasks done" in repr(r)


def test_it_describes_itself_in_text_and_in_html(finished: Path, grid: Path) -> None:
    text = repr(dm.open(finished))
    assert text.splitlines()[:3] == [
        f"sweep       tiny, in {finished}",
        "settings    1",
        "k           2 values from 1 to 3",
    ]
    assert "rows        evaluations 4, rollouts 2, trainings 2, " in text
    assert " 0" not in text
    page = dm.open(grid)._repr_html_()
    assert page.startswith("<table><tr><th>sweep</th><td>tiny, in ")
    assert "<th>settings</th><td>4</td>" in page


def test_html_is_escaped(tmp_path: Path) -> None:
    start_folder(tmp_path / "<b>")
    assert "&lt;b&gt;</td>" in dm.open(tmp_path / "<b>")._repr_html_()


def test_a_misspelt_name_is_an_attribute_error_with_a_hint(finished: Path) -> None:
    r = dm.open(finished)
    with pytest.raises(AttributeError, match="did you mean 'evaluations'"):
        r.evaluation  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean 'reward_vs_k'"):
        r.figures.rewards_vs_k()
    with pytest.raises(dm.DistmarlError, match="there is no table 'evaluation'; did you mean 'evaluations'"):
        r.table("evaluation")


def test_a_parameter_that_the_environment_does_not_have_is_refused(finished: Path) -> None:
    with pytest.raises(dm.DistmarlError, match=r"environment\.n_agent: unknown key; did you mean 'n_agents'?"):
        dm.open(finished).environment(n_agent=7)


def test_an_environment_of_ones_own_is_built_again_unless_its_code_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "notebook_game.py"
    module.write_text(GAME)
    monkeypatch.syspath_prepend(tmp_path)
    run(tmp_path / "out", {**TINY, "environment": {"name": "notebook_game:small", "n_agents": 6}})
    r = dm.open(tmp_path / "out")
    assert r.environment(n_agents=9).n_agents == 9
    module.write_text(GAME.replace("gamma=0.9", "gamma=0.8"))
    monkeypatch.delitem(sys.modules, "notebook_game")
    sys.path_importer_cache.clear()
    with pytest.raises(dm.DistmarlError, match="makes another game now than the one that the setting"):
        r.environment(n_agents=9)


@pytest.mark.parametrize(("prepare", "message"), BAD_FOLDERS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_bad_folder_is_refused(tmp_path: Path, prepare: Callable[[Path], None], message: str) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    prepare(folder)
    with pytest.raises(dm.DistmarlError) as caught:
        dm.open(folder).evaluations  # noqa: B018
    assert str(caught.value).startswith(str(folder))
    assert message in str(caught.value)


def test_importing_distmarl_loads_nothing_heavy() -> None:
    heavy = {"pandas", "pyarrow", "matplotlib", "ray", "rich"}
    code = f"import sys, distmarl as dm; dm.open; print(sorted({heavy} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_numbers_may_be_numpys(finished: Path, grid: Path) -> None:
    r = dm.open(finished)
    game = r.environment(n_agents=np.int64(100), gamma=np.float32(0.5))
    assert (game.n_agents, game.gamma) == (100, 0.5)
    np.testing.assert_array_equal(r.global_policy(np.int64(3)), r.global_policy(3))
    setting = {"n_agents": np.int64(8), "horizon": np.float64(6)}
    assert dm.open(grid).environment(setting).n_agents == 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.global_policy("3"), "k: must be an integer of 1 or more, got '3'"),
        (lambda r: r.global_policy(3.0), "k: must be an integer of 1 or more, got 3.0"),
        (lambda r: r.environment(n_agents="100"), "environment.n_agents: must be an integer, got '100'"),
        (lambda r: r.environment(n_agents=np.float64(100)), "environment.n_agents: must be an integer, got 100.0"),
        (lambda r: r.local_policy(3), "setting: "),
        (lambda r: r.table(3), "there is no table 3; "),
        (lambda r: r.figures.reward_vs_k(width="3"), "width: must be a number, got '3'"),
    ],
)
def test_what_is_no_number_is_refused(finished: Path, call: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(dm.DistmarlError) as caught:
        call(dm.open(finished))
    assert message in str(caught.value)
