import re
import webbrowser
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import distmarl
from distmarl.report.__main__ import main
from distmarl.report.catalogue import FIGURES
from distmarl.report.figures.drawing import style
from distmarl.results.fields import VERSION_KEY
from distmarl.results.snapshot import DATA_FILE
from distmarl.results.tables import EVALUATIONS, FAILURES
from tests.commands import REPOSITORY, call_in, command_in
from tests.report.results_folders import commit_points, failure_row, grid_of, start_folder
from tests.results.bad_folders import with_an_empty_session

PNG_NAMES = ["difference_vs_k.png", "mode_accuracy_vs_k.png", "reward_vs_k.png", "runtime_vs_k.png"]


run = call_in(REPOSITORY, main)


def test_the_table_goes_to_stdout_and_the_files_to_stderr(tmp_path):
    commit_points(start_folder(tmp_path), grid_of(["only"], [1, 2], 2))
    done = run(tmp_path)
    assert done.returncode == 0
    assert ["1", "10.50", "±", "0.71", "0.25"] in [line.split() for line in done.stdout.splitlines()]
    assert "Reward range: 10.50 (k=1) → 20.50 (k=2)\nImprovement: 95.2%\n" in done.stdout
    assert [f"wrote {tmp_path / name}" in done.stderr for name in PNG_NAMES] == [True] * 4
    assert "wrote" not in done.stdout
    assert sorted(path.name for path in tmp_path.glob("*.png")) == PNG_NAMES
    assert sorted(path.stem for path in tmp_path.glob("*.pdf")) == [name.removesuffix(".png") for name in PNG_NAMES]


@pytest.mark.usefixtures("blank_figures")
def test_long_labels_are_not_folded_in_a_file(tmp_path):
    grids = {name: {f"environment.{name}_{'x' * 30}_{i}": 0.25 for i in range(4)} for name in "ab"}
    commit_points(start_folder(tmp_path, settings=grids), grid_of("ab", [1, 2], 2))
    lines = run(tmp_path).stdout.splitlines()
    for name in "ab":
        label = ", ".join(f"{name}_{'x' * 30}_{i}=0.25" for i in range(4))
        assert sum(label in line and "10.50" in line for line in lines) == 1


def test_characters_that_the_figures_font_lacks_are_told_once(tmp_path):
    grids = {name: {"environment.tilt": f"{name}中文"} for name in "ab"}
    commit_points(start_folder(tmp_path, settings=grids), grid_of("ab", [1, 2], 2))
    done = run(tmp_path)
    assert "Glyph" not in done.stderr
    assert done.stderr.count("lacks some characters of the labels, which are boxes there: 中文\n") == 1


@pytest.mark.usefixtures("blank_figures")
def test_a_gain_that_rounds_to_zero_has_no_sign(tmp_path):
    values = {1: 10.0, 2: 9.9999}
    commit_points(start_folder(tmp_path), grid_of(["only"], [1, 2], 2), value=lambda _, k, __: values[k])
    assert "\nImprovement: 0.0%\n" in run(tmp_path).stdout
    assert not re.search(r"[-+\u2212]0\.0+(?![0-9])", (tmp_path / "report.html").read_text())


@pytest.mark.usefixtures("blank_figures")
def test_what_is_missing_is_told(tmp_path):
    store = start_folder(tmp_path)
    commit_points(store, grid_of(["only"], [1], 2), accuracy=lambda _, __: None, whole=True)
    store.commit("g_learn-only-2", [(FAILURES, [failure_row("only", 2)])])
    done = run(tmp_path)
    assert done.returncode == 0
    assert (
        "unfinished: 3 of 7 tasks (0 of 1 shared local policies, 1 of 2 global policies, 2 of 4 evaluations)"
        in done.stdout
    )
    assert "unfinished" not in done.stderr
    assert "skipped mode_accuracy_vs_k.png: " in done.stderr
    assert f"1 task failed: see {tmp_path / 'failures'}" in done.stderr


@pytest.mark.usefixtures("blank_figures")
def test_the_one_setting_of_a_grid_that_has_numbers_is_named(tmp_path):
    grids = {name: {"environment.n_agents": number} for name, number in (("a", 30), ("b", 100))}
    commit_points(start_folder(tmp_path, settings=grids), grid_of("a", [1, 2], 2))
    lines = run(tmp_path).stdout.splitlines()
    assert sum("n_agents=30 " in line and "10.50" in line for line in lines) == 1
    assert "n_agents=30:" in lines
    assert lines[-1].startswith("unfinished: ")


def test_a_terminal_of_another_encoding_gets_the_numbers(tmp_path):
    commit_points(start_folder(tmp_path), grid_of(["only"], [1, 2], 2))
    done = command_in(REPOSITORY, "distmarl.report")(tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "10.50 ? 0.71" in done.stdout


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_may_only_be_read_gives_its_numbers_and_figures_elsewhere(tmp_path, make_read_only):
    folder, out = tmp_path / "shared", tmp_path / "papers" / "figures"
    folder.mkdir()
    commit_points(start_folder(folder), grid_of(["only"], [1, 2], 2))
    before = content(folder)
    make_read_only(folder)
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert "Reward range: 10.50 (k=1) → 20.50 (k=2)" in done.stdout
    refusal = f"{folder}: cannot be written ({folder} forbids it); choose another folder with --out"
    assert f"no figures and no page: {refusal}\n" in done.stderr
    assert "wrote" not in done.stderr
    opened = run(folder, "--open")
    assert (opened.returncode, opened.stdout) == (2, done.stdout)
    assert "--open: there is no page to open; say with --out where it shall lie" in opened.stderr
    elsewhere = run(folder, "--out", out)
    assert (elsewhere.returncode, elsewhere.stdout) == (0, done.stdout)
    assert [f"wrote {out / name}" in elsewhere.stderr for name in (*PNG_NAMES, "report.html")] == [True] * 5
    assert content(folder) == before
    page = (out / "report.html").read_text()
    assert f"comes from tables in {folder}:" in page
    assert f'href="{folder.as_uri()}/sweep.yaml"' in page
    assert f"folder = &#39;{folder}&#39;  # the results" in page


@pytest.mark.usefixtures("blank_figures")
def test_figures_elsewhere_replace_no_other_sweeps(tmp_path, make_read_only):
    for name in ("mine", "other"):
        commit_points(start_folder(tmp_path / name), grid_of(["only"], [1, 2], 2))
    before = content(tmp_path)
    done = run(tmp_path / "mine", "--out", tmp_path / "other")
    assert done.returncode == 2
    assert f"{tmp_path / 'other'}: is a results folder itself, whose figures would be lost" in done.stderr
    (tmp_path / "paper").mkdir()
    make_read_only(tmp_path / "paper")
    forbidden = run(tmp_path / "mine", "--out", tmp_path / "paper" / "new")
    assert forbidden.returncode == 2
    assert "forbids it); choose another folder with --out" in forbidden.stderr
    assert content(tmp_path) == before


def missing(folder: Path) -> None:
    folder.rmdir()


def foreign(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")


def of_another_version(folder: Path) -> None:
    store = start_folder(folder)
    commit_points(store, grid_of(["only"], [1], 1))
    store.publish()
    path = folder / EVALUATIONS.name / DATA_FILE
    pq.write_table(pq.read_table(path).replace_schema_metadata({VERSION_KEY: b"0"}), path)


def without_evaluations(folder: Path) -> None:
    start_folder(folder)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (missing, "there is no such results folder"),
        (foreign, "is not a results folder of distmarl"),
        (of_another_version, "was written with schema version 0"),
        (with_an_empty_session, "is damaged (sessions[0] has no command)"),
        (without_evaluations, "has no evaluation of its sweep yet"),
    ],
)
def test_a_bad_folder_is_one_message_and_exit_code_2(tmp_path, prepare, message):
    prepare(tmp_path)
    done = run(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_help_and_version():
    described = run("--help")
    assert described.returncode == 0
    assert "python -m distmarl.report results/robots" in described.stdout
    assert "exit codes: 0 done, 2 no usable results" in described.stdout
    assert run("--version").stdout == f"distmarl {distmarl.__version__}\n"


def test_no_folder_is_bad_input():
    done = run()
    assert done.returncode == 2
    assert "usage: python -m distmarl.report" in done.stderr


@pytest.mark.parametrize(("is_there", "told"), [(True, ""), (False, "no browser could be started; the page is ")])
def test_the_page_is_opened_in_the_browser(tmp_path, monkeypatch, capsys, is_there, told):
    monkeypatch.setitem(style.STYLE, "figure.dpi", 50)
    commit_points(start_folder(tmp_path), grid_of(["only"], [1, 2], 2))
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda place: opened.append(place) or is_there)
    assert main([str(tmp_path)]) == 0
    assert opened == []
    assert main([str(tmp_path), "--open"]) == 0
    assert opened == [(tmp_path / "report.html").as_uri()]
    assert told in capsys.readouterr().err


def test_a_page_in_an_object_store_is_not_opened(capsys):
    assert main(["s3://bucket/robots", "--open"]) == 2
    message = (
        "error: --open: the page will lie in s3://bucket/robots, where no browser can open it; leave the option out"
    )
    assert capsys.readouterr().err.splitlines() == [message]


def test_help_names_every_figure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in FIGURES)
