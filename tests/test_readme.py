"""What the documents say is what runs: every command, snippet, key, table, figure and link of theirs."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import click
import pandas as pd
import pytest
from ruamel.yaml import YAML

import distmarl
from distmarl import NashGap
from distmarl.config.reading import RawSweep
from distmarl.games.lookup import GAMES
from distmarl.results.tables import TABLES
from distmarl.study.plan import make_plan
from distmarl.sweep.__main__ import make_parser
from tests.commands import REPOSITORY, call_in

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from tests.object_store import ObjectStore

pytestmark = pytest.mark.long

DOCUMENTS = {
    name: (REPOSITORY / name).read_text()
    for name in (
        "README.md",
        "sweeps/README.md",
        "distmarl/README.md",
        "cluster/README.md",
        "tests/README.md",
        ".github/CONTRIBUTING.md",
    )
}
# What a command of somebody else's is: looked at, not run.
PROGRAMS = {"bash", "docker", "export", "kubectl", "lint-imports", "mypy", "pip", "pre-commit", "ruff", "sbatch"}
PROGRAMS |= {"scancel", "source", "ssh"}

# A sweep of the robots that shows what the README says of all 25 k.
FEWER_K = shlex.split("--set experiment.k_range=null --set 'experiment.k_values=[1, 10]'")
# And one in a second or two.
SMALLER = shlex.split(
    "--set experiment.k_range=null --set 'experiment.k_values=[1, 2]' --set global_agent.n_mc_samples=3 "
    "--set experiment.n_eval_seeds=2 --set evaluation.n_rollouts=2 --set 'experiment.baselines=[random]'"
)
# And the one of the best pairs.
FEWER_AGENTS = shlex.split("--set environment.n_agents=3 --set experiment.bound_m=2 --set experiment.k_values=[1]")
# And those of ten games.
OF_TWO_AGENTS = shlex.split(
    "--set environment.n_agents=2 --set experiment.n_train_seeds=1 --set experiment.nash_gap=off "
    "--set evaluation.horizon=5"
)
# What takes long in snippets, and what takes less.
LESS = {
    "max_vectors=100_000": "max_vectors=5_000",
    "robots(n_agents=10)\nbest = dm.best_pair(env, k=10)": "robots(n_agents=4)\nbest = dm.best_pair(env, k=4)",
}


def blocks(language: str, document: str | None = None) -> list[str]:
    """Return what stands between fences, in all documents or in one."""
    texts = DOCUMENTS.values() if document is None else [DOCUMENTS[document]]
    return [block for text in texts for block in re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.M | re.S)]


def typed(start: str = "") -> list[str]:
    """Return the lines to type that begin so, without their comments; a line that goes on is one."""
    joined = (block.replace("\\\n", " ") for block in blocks("bash"))
    lines = (line.partition("  #")[0].strip() for block in joined for line in block.splitlines())
    return [line for line in lines if line.startswith(start)]


def section(document: str, heading: str) -> str:
    return DOCUMENTS[document].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def type_in(command: str, folder: Path, less: Sequence[str] = SMALLER, **environment: str) -> str:
    """Type a line in a folder, a sweep with less to do, and return what it prints."""
    command, _, file = command.partition(" > ")
    module, *words = shlex.split(command)[2:]
    if module == "distmarl.sweep" and "--plan" not in words:
        less = [*less, *FEWER_AGENTS] if "sweeps/best.yaml" in words else less
        less = [*less, *OF_TWO_AGENTS] if "sweeps/zoo.yaml" in words else less
        words += ["--executor", "serial", *less]
    done = call_in(folder, importlib.import_module(f"{module}.__main__").main)(*words, **environment)
    assert done.returncode == 0, done.stderr
    if file:
        (folder / file).write_text(done.stdout)
    return done.stdout


# The documents as they stand.


def test_the_readme_is_short() -> None:
    assert len(DOCUMENTS["README.md"].splitlines()) <= 200


def test_every_fence_is_of_a_kind_that_is_looked_at() -> None:
    assert {
        language for text in DOCUMENTS.values() for language in re.findall(r"^```(\S+)$", text, flags=re.MULTILINE)
    } == {"bash", "bibtex", "python", "text", "yaml"}


def anchors(text: str) -> set[str]:
    """Return what headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    links = re.findall(r'(?:\]\(|src=")([^)"\s]+)[)"]', DOCUMENTS[name])
    assert links
    for link in links:
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (REPOSITORY / name).parent / path if path else REPOSITORY / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_the_readme_leads_to_every_other_document() -> None:
    assert {name for name in DOCUMENTS if f"]({name})" not in DOCUMENTS["README.md"]} == {"README.md"}


def test_every_file_that_is_named_is_there() -> None:
    for name in (".github/CONTRIBUTING.md", "tests/README.md", "distmarl/README.md"):
        for path in re.findall(r"`((?:[\w.<>-]+/)*[\w.<>-]+\.(?:py|yaml|json|md))`", DOCUMENTS[name]):
            folder, _, file = path.rpartition("/")
            from_here = [root / folder for root in (REPOSITORY, (REPOSITORY / name).parent)]
            assert any((root if "<" in file else root / file).exists() for root in from_here), f"{name}: {path}"


def test_every_module_to_run_is_there_and_has_these_options() -> None:
    commands = {
        command for text in DOCUMENTS.values() for command in re.findall(r"`?python -m ([^`\n]+?)(?:`|\n|  )", text)
    }
    modules = {shlex.split(command)[0] for command in commands}
    benchmarks = {file.stem for file in (REPOSITORY / "tests" / "benchmarks").glob("*.py")} - {"__init__", "measuring"}
    assert {module.rpartition(".")[2] for module in modules if "tests.benchmarks" in module} == benchmarks
    for module in modules:
        assert importlib.util.find_spec(module), module
    for command in commands:
        module, *arguments = shlex.split(command)
        if module.startswith("tests."):
            source = (REPOSITORY / f"{module.replace('.', '/')}.py").read_text()
            for option in arguments:
                assert not option.startswith("--") or f'"{option}"' in source, command


def test_the_rooms_are_those_of_the_package_in_the_order_of_its_imports() -> None:
    described = re.findall(r"^\| `(\w+)` \|", section("distmarl/README.md", "The way of the data"), flags=re.M)
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    rank = {room.strip().removeprefix("distmarl."): -at for at, layer in enumerate(layers) for room in layer.split("|")}
    packages = {file.parent.name for file in (REPOSITORY / "distmarl").glob("*/__init__.py")}
    assert set(described) == packages
    assert [rank[room] for room in described] == sorted(rank[room] for room in described)


def test_every_table_is_described() -> None:
    described = re.findall(r"^\| `(\w+)` \|", section("sweeps/README.md", "The tables"), flags=re.MULTILINE)
    assert set(described) == set(TABLES)


def test_every_game_is_described() -> None:
    rows = re.findall(r"^\| (`[^|]*`) \|", section("sweeps/README.md", "Games"), flags=re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(GAMES)


def test_every_figure_is_described() -> None:
    described = re.findall(r"`(\w+)\.png`", section("sweeps/README.md", "The figures"))
    assert set(described) == set(distmarl.figures.__all__)


# Sweep files.


def test_every_sweep_file_is_one_that_is_tried() -> None:
    # The grids below, one's own game, and every key: tests/config/test_template.py
    assert len(blocks("yaml")) == 5


def test_the_grid_is_every_combination_of_its_values() -> None:
    (block,) = (block for block in blocks("yaml") if block.startswith("grid:"))
    plan = make_plan(RawSweep(YAML(typ="safe", pure=True).load(block), "grid"))
    assert len(plan.jobs) == 6
    assert {job.environment.n_agents for job in plan.jobs} == {30, 100, 1000}
    assert {job.setting.global_agent.transitions for job in plan.jobs} == {"sampled", "exact"}


def test_the_grid_over_games_has_a_setting_for_each() -> None:
    (block,) = (block for block in blocks("yaml") if "\ngrid:\n  environment:" in block)
    plan = make_plan(RawSweep(YAML(typ="safe", pure=True).load(block), "games"))
    assert [job.content["environment"]["name"] for job in plan.jobs] == ["robots", "formation", "load_balancing"]


def test_pairs_from_elsewhere_are_made_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = (block for block in blocks("yaml") if "policies:" in block and "runner:" not in block)
    (code,) = (block for block in blocks("python") if "def follow_the_crowd(env, k)" in block)
    mine, ppo = ModuleType("mine"), ModuleType("ppo")  # sweeps/ppo.py itself learns for minutes
    exec(code, vars(mine))
    vars(ppo)["pair"] = vars(mine)["follow_the_crowd"]
    for module in (mine, ppo):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    (job,) = make_plan(RawSweep(YAML(typ="safe", pure=True).load(block), "pairs")).jobs
    assert {name: [*of_name] for name, of_name in job.policies.items()} == {"PPO": [1, 5, 10], "most": [1, 5, 10]}
    assert "def pair(env: dm.Environment, k: int)" in (REPOSITORY / "sweeps" / "ppo.py").read_text()


# Commands that need what a test has not: they are only parsed.


def test_every_line_to_type_is_one_that_is_tried() -> None:
    ours = [line for line in typed() if line.startswith(("python3 -m venv", "python -m distmarl", "ray ", "--"))]
    assert len(typed("python -m distmarl")) == 20
    for line in set(typed()) - set(ours):
        words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]
        assert words[0] in PROGRAMS or words[:2] == ["python", "-m"] or words[0].startswith("python3.11"), line


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_is_one_for_bash(name: str) -> None:
    for block in blocks("bash", name):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def test_both_set_up_commands_are_what_ci_runs() -> None:
    commands = typed("python3 -m venv")
    assert len(commands) == 3  # the test's stands in CONTRIBUTING, too
    assert set(commands) <= set((REPOSITORY / ".ci" / "run").read_text().splitlines())


def test_every_command_for_ray_is_one_that_it_knows() -> None:
    from ray.scripts.scripts import cli as ray_command

    lines = [line for line in typed() if line.startswith("ray ")]
    lines += [f"ray job submit {options} -- true" for options in typed("--")]
    assert len(lines) == 11
    for line in lines:
        command: click.Command = ray_command
        context = None
        words = shlex.split(line)[1:]
        while isinstance(command, click.Group):
            context = click.Context(command, parent=context)
            _, known, words = command.resolve_command(context, words)
            assert known is not None
            command = known
        parser = command.make_parser(click.Context(command, parent=context))
        parser.parse_args(words)  # raises on what is no option


def sweeps_elsewhere() -> Iterator[list[str]]:
    """Yield the arguments of every sweep that is started on a cluster."""
    for line in typed():
        for start in (" -m distmarl.sweep ", "slurm.sh "):
            if start in line and not line.startswith(("python -m", "python3 -m venv")):
                yield shlex.split(line.partition(start)[2])


def test_a_job_for_a_cluster_is_a_command_of_ours() -> None:
    assert len(list(sweeps_elsewhere())) == 6
    for words in sweeps_elsewhere():
        arguments = make_parser().parse_args(words)
        assert (REPOSITORY / arguments.sweep_file).exists()
        assert Path(arguments.out).is_absolute()  # a job's own folder goes with it


def test_every_file_that_a_command_is_given_is_there() -> None:
    files = {word for line in typed() for word in re.findall(r"(?<![\w/])(?:cluster|sweeps|tests|\.ci)/[\w./-]+", line)}
    assert len(files) >= 8
    for file in files:
        assert (REPOSITORY / file).exists(), file


# What runs.


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder like a checkout in which the main job has run, for two k."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "sweeps").symlink_to(REPOSITORY / "sweeps")
    type_in("python -m distmarl.sweep sweeps/robots.yaml", folder, FEWER_K)
    return folder


def test_the_return_rises_with_k_as_the_figure_shows(checkout: Path) -> None:
    results = checkout / "results" / "robots"
    returns = pd.read_parquet(results / "evaluations").groupby("k")["mean_return"]
    rise = returns.mean()[10] - returns.mean()[1]
    standard_error = ((returns.var() / returns.size()).sum()) ** 0.5
    assert rise > 4 * standard_error
    for name in ("reward_vs_k.png", "runtime_vs_k.png", "mode_accuracy_vs_k.png"):
        assert (results / name).read_bytes().startswith(b"\x89PNG")
    assert (results / "report.html").read_bytes().startswith(b"<!doctype html>")


def test_every_snippet_runs_after_those_before_it(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(checkout)
    names: dict[str, object] = {}
    values: dict[str, object] = {}
    code = "\0".join(blocks("python"))
    for much, less in LESS.items():
        assert much in code
        code = code.replace(much, less)
    for block in code.split("\0"):
        exec(block, names)
        values = {**names, **values}  # the first of each name
    assert values["value"].mean > 50  # type: ignore[attr-defined]
    assert values["exact"].bound <= 1e-8  # type: ignore[attr-defined]
    gaps = values["gaps"]
    assert isinstance(gaps, NashGap)
    assert gaps.global_lower.value is not None
    assert gaps.global_upper.value is not None
    assert 0 <= gaps.global_lower.value <= gaps.global_upper.value + 1e-5


@pytest.mark.usefixtures("blank_figures")
def test_a_results_folder_is_looked_at_as_it_says(checkout: Path) -> None:
    (checkout / "swarm.py").write_text(next(block for block in blocks("python") if "def swarm" in block))
    (checkout / "swarm.yaml").write_text(next(block for block in blocks("yaml") if "swarm:swarm" in block))
    commands = [line for line in typed("python -m distmarl") if "s3://" not in line]
    printed = {line: type_in(line, checkout) for line in commands}
    assert len(printed) == 17
    (plan,) = (text for line, text in printed.items() if "--plan" in line)
    assert re.search("^ ?global policies +25 +25 ", plan, flags=re.MULTILINE)
    assert "reference_k was 10, is 25" in plan  # which is why it would not go on with the two that are done
    (own,) = (text for line, text in printed.items() if "swarm.yaml" in line)
    assert "Improvement: " in own
    assert set(pd.read_parquet(checkout / "results" / "robots-0.9" / "evaluations")["gamma"]) == {0.9}
    assert (checkout / "results" / "robots" / "comparison.pdf").exists()
    assert (checkout / "results" / "robots" / "reward_vs_k.pdf").exists()
    assert (checkout / "sweep.schema.json").read_text() == (REPOSITORY / "sweeps" / "sweep.schema.json").read_text()


@pytest.mark.usefixtures("blank_figures")
def test_results_lie_in_a_bucket_as_it_says(tmp_path: Path, object_store: ObjectStore) -> None:
    (tmp_path / "sweeps").symlink_to(REPOSITORY / "sweeps")
    object_store.filesystem.create_dir("my-bucket")
    there, report, elsewhere = (line for line in typed("python -m distmarl") if "s3://" in line)
    endpoint = f"http://{object_store.endpoint}"
    type_in(there, tmp_path, AWS_ENDPOINT_URL=endpoint)
    assert "reward_vs_k.pdf" not in object_store.objects("my-bucket/robots")
    type_in(report, tmp_path, AWS_ENDPOINT_URL=endpoint)
    assert {"reward_vs_k.pdf", "evaluations/data.parquet"} <= set(object_store.objects("my-bucket/robots"))
    object_store.filesystem.delete_dir("my-bucket/robots")
    assert "minio.lab:9000" in elsewhere
    type_in(elsewhere.replace("minio.lab:9000", object_store.endpoint), tmp_path)
    assert "evaluations/data.parquet" in object_store.objects("my-bucket/robots")
    assert not (tmp_path / "results").exists()
