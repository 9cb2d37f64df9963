"""The command about games, as a user types it."""

from __future__ import annotations

import io
import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from distmarl import Environment, g_learn, game, uniform_local_policy
from distmarl.errors import InvalidArgumentError
from distmarl.examine import checking
from distmarl.examine.command import main
from distmarl.examine.ends import find_ends
from distmarl.games.lookup import GAMES, find_function
from distmarl.new import starter_game
from distmarl.report.game_figure import game_figure

Printed = Callable[..., str]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    """Run the command; return what it prints."""

    def run(*words: str, code: int = 0) -> str:
        assert main(words) == code
        captured = capsys.readouterr()
        return captured.out if code == 0 else captured.err

    return run


def test_all_games_are_listed_with_sizes_parameters_and_source(printed: Printed) -> None:
    text = printed()
    assert re.findall(r"^(\w+)  G=", text, flags=re.MULTILINE) == list(GAMES)
    assert "warehouse  G=25, L=75 in B=5, A_g=5, A_l=3" in text
    assert "A_g, A_l: of their actions. B: number of classes" in text
    assert "formation  G=5, L=3, A_g=5, A_l=3" in text
    assert "n_places=5 (2 to 50), cost=0.05 (0 or more)" in text
    assert "gamma=0.95 (0 to below 1)" in text
    assert "bonus=0.4 (any)" in text
    assert "source: The code of Anand, Karmarkar and Qu, arXiv 2412.00661." in text
    assert text.count("    source: ") == len(GAMES)
    assert printed("list") == text


def table_rows(text: str) -> list[list[str]]:
    """The rows of the tables, as words."""
    lines = map(str.strip, text.splitlines())
    return [line.split() for line in lines if re.fullmatch(r"\d+ [\d\s.-]+( states? more.*|[:,\d\s.-]+)?", line)]


def test_a_game_is_shown_with_its_tables(printed: Printed) -> None:
    text = printed("show", "ring", "n_places=3", "cost=0.25")
    assert "Environment(G=3, L=3, A_g=3, A_l=2, n_agents=30, gamma=0.9)" in text
    assert "n_places=3, cost=0.25" in text
    rows = table_rows(text)
    assert ["0", "2", "1", "1", ".", ".", "-0.25"] in rows, "a step from place 2 leads to 0"
    assert ["2", "2", "0", ".", ".", "1", "1"] in rows, "staying where the global agent is earns 1"
    assert len(rows) == 3 * 3 + 3 * 3 * 2


def test_a_large_game_is_shown_in_part(printed: Printed) -> None:
    text = printed("show", "random", "n_local_states=20", "n_global_states=4")
    assert "… and 148 rows more" in text
    assert len(table_rows(text)) == 4 * 3 + 12


def test_of_many_states_the_likeliest_successors_are_shown(printed: Printed) -> None:
    text = printed("show", "warehouse")
    assert re.search(r"^ +2 +0  2: 0.77, 1: 0.115, 3: 0.115, 0: 1.95e-05, 4: 1.95e-05 +5 *$", text, re.MULTILINE)
    assert "… and 5,613 rows more" in text
    assert "classes that are seen: 0 (s_l=0 to 14), 1 (s_l=15 to 29), 2 (s_l=30 to 44)" in text
    assert text.count("with probability 0.05") == 3
    assert "or 17 such parts more" in text


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_a_game_is_drawn(printed: Printed, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"figure.{ending}"
    printed("show", "conventions", "--out", str(path))
    start = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[ending]
    assert path.read_bytes().startswith(start)


def test_every_kernel_and_reward_has_a_panel_and_they_show_the_tables(tmp_path: Path) -> None:
    env = game("congestion", n_roads=3)
    figure = game_figure(env, "congestion")
    drawn = {axes.get_title(loc="left"): axes.images[0].get_array() for axes in figure.axes if axes.images}
    assert len(drawn) == 3 + 1 + 2 * (3 + 1)
    assert (drawn["P_g, a_g=1"] == env.transition_global[:, 1]).all()
    assert (drawn["P_l, s_g=2, a_l=1"] == env.transition_local[2, :, 1]).all()
    assert (drawn["r_l, a_l=1"] == env.reward_local[:, :, 1]).all()
    figure.savefig(tmp_path / "figure.png", dpi=50)
    assert len(np.unique(imread(tmp_path / "figure.png").reshape(-1, 4), axis=0)) > 20
    large = game_figure(game("random", n_global_states=12, n_local_actions=6), "random")
    assert large.get_supxlabel() == "drawn: the first 8 of 12 s_g, the first 4 of 6 a_l"


def test_a_users_game_is_checked(printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_walkers.py").write_text(Path(starter_game.__file__).read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    text = printed("check", "my_walkers:game", "n_agents=10")
    assert "Environment(G=3, L=3, A_g=3, A_l=2, n_agents=10, gamma=0.9)" in text
    assert "tables     right" in text
    assert "1.000 with a_l=0 always" in text
    assert "exact can do up to k = 10 agents (all of them)" in text
    assert "2 ways of renaming the states that change nothing" in text
    assert "s_g to 1 2 0, s_l to 1 2 0" in text
    assert "6 starts of an alternation of exact best responses, with 6 agents of which 2 are seen" in text
    assert "of a sweep over k = 1 to 10" in text
    assert re.search(r"global policies +10 +10 ", text)
    assert "expected   about" in text


def test_several_ends_are_told_with_their_starts(printed: Printed) -> None:
    text = printed("check", "conventions", "n_agents=4")
    assert "lead to 2 different ends" in text
    better, worse = re.findall(r"^ +([\d.]+) from (.*)$", text, flags=re.MULTILINE)
    assert float(better[0]) > float(worse[0])
    assert worse[1].startswith("uniform")
    assert "all lead to pairs worth the same" in printed("check", "observable", "n_agents=3")


def test_what_is_known_is_told_while_the_ends_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    told: list[str] = []

    def look(_: Environment) -> None:
        told.extend(line.split()[0] for line in written.getvalue().decode().splitlines() if line[0] != " ")

    monkeypatch.setattr(checking, "find_ends", look)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="utf-8"))
    assert main(["check", "ring", "n_agents=2"]) == 0
    assert told == ["game", "tables", "kernels", "exact", "symmetry"]


def test_a_limit_of_exact_transitions_is_told(printed: Printed) -> None:
    text = printed("check", "ring", "n_agents=16")
    assert re.search(r"up to k = 1\d agents \(of 16\).*transitions: sampled has no such limit", text)


@pytest.mark.parametrize("n_states", [3, 10, 11, 20, 21, 50])
def test_numbers_beside_a_panel_do_not_run_into_each_other(n_states: int) -> None:
    env = game("random", n_local_states=n_states, n_global_states=2, n_local_actions=1)
    figure = game_figure(env, "random")
    figure.draw_without_rendering()
    panel = next(axes for axes in figure.axes if axes.get_title(loc="left") == "P_l, s_g=0, a_l=0")
    numbers = panel.get_xticklabels()
    assert len(numbers) == n_states if n_states <= 10 else 4 <= len(numbers) <= 5
    boxes = [number.get_window_extent() for number in numbers]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


GAME_OF_CLASSES = """
import numpy as np
import distmarl as dm

def game():
    # A ring whose first place has two corners, which the global agent does not tell apart.
    ring, places = dm.game("ring", n_agents=30), np.array([0, 0, 1, 2, 3, 4])
    moves = ring.transition_local[:, places][:, :, :, places] * np.array([0.3, 0.7, 1, 1, 1, 1])
    moves[:, 1] = (moves[:, 1] + moves[:, 2]) / 2
    return dm.Environment(
        transition_global=ring.transition_global, transition_local=moves, reward_global=ring.reward_global,
        reward_local=ring.reward_local[:, places], n_agents=30, gamma=ring.gamma, observation=places,
    )
"""

GAME_OF_MANY_CLASSES = """
import dataclasses
import distmarl as dm

def game():
    one = dm.game("random", n_local_states=14, n_global_states=1, n_global_actions=1, n_agents=2)
    return dataclasses.replace(one, observation=[*range(13), 12])
"""


def test_of_classes_the_limit_is_that_of_g_learn(
    printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corners.py").write_text(GAME_OF_CLASSES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    text = printed("check", "corners:game")
    assert "rounding errors of exact transitions between classes grow" in text
    told = re.search(r"up to k = (\d+) agents \(of 30\)", text)
    assert told is not None
    most = int(told[1])
    env = find_function("corners:game", str)()
    policy = uniform_local_policy(env)
    g_learn(env, policy, k=most, transitions="exact", max_vi_iterations=1)
    with pytest.raises(InvalidArgumentError, match=r"'exact' would be off by"):
        g_learn(env, policy, k=most + 1, transitions="exact", max_vi_iterations=1)


def test_kernels_are_factored_where_classes_are_few(
    printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = printed("check", "demand_response")
    assert "exact transitions between classes grow" in text, "25 local states in 5 classes"
    assert "exact can do up to k = 8 agents (all of them)" in text
    (tmp_path / "shelves.py").write_text(GAME_OF_MANY_CLASSES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    text = printed("check", "shelves:game")
    assert "kernels    not factored, as there are more than 12 classes of local states" in text


def test_a_game_that_is_too_large_for_exact_values_is_checked_as_far_as_may_be(printed: Printed) -> None:
    ends = find_ends(game("random", n_local_states=8, n_agents=10**6))
    assert ends is not None
    assert 1 < ends.n_agents < 6
    sizes = ("n_local_states=13", "n_global_states=1", "n_global_actions=1", "n_agents=2")
    text = printed("check", "random", *sizes)
    assert "kernels    not factored, as there are more than 12 local states" in text
    assert "ends       not looked for" in text
    assert "expected   about" in text


def test_a_game_whose_costs_cannot_be_told_is_checked_all_the_same(
    printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InvalidArgumentError("k=9: too many count vectors")

    monkeypatch.setattr(checking, "estimate_costs", refuse)
    sizes = ("n_local_states=50", "n_global_states=1", "n_global_actions=1")
    text = printed("check", "random", *sizes)
    assert "of a sweep over k = 1 to 4" in text
    assert "not known: k=9: too many count vectors" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show",), "NAME: show needs a game"),
        (("list", "ring"), "list: takes nothing more; to see one game, type show NAME"),
        (("show", "rng"), "NAME: environment.name: must be a built-in environment or 'package.module:function'"),
        (("show", "ring", "n_places"), "n_places: must be of the form KEY=VALUE"),
        (("show", "ring", "n_places=[1"), "n_places=[1: is not valid YAML"),
        (("show", "ring", "n_places=3", "n_places=4"), "n_places=4: n_places is given twice"),
        (("show", "ring", "n_place=3"), "n_place=3: environment.n_place: unknown key; did you mean 'n_places'?"),
        (("show", "ring", "n_places=1"), "n_places=1: environment ring: n_places: must be at least 2, got 1"),
        (("show", "ring", "n_places=many"), "n_places=many: environment.n_places: must be an integer, got 'many'"),
        (("show", "ring", "--out", "figure.txt"), "--out: must end in .png, .pdf or .svg, got 'figure.txt'"),
        (("show", "ring", "--out", "none/figure.png"), "--out: none/figure.png: cannot be written: No such file"),
        (("check", "ring", "--out", "a.png"), "--out: is for show alone"),
        (("check", "nowhere:game"), "NAME: environment.name: there is no module 'nowhere'"),
        (("check", "bad_games:needs"), "bad_games:needs: n_agents has no default; add n_agents=VALUE"),
        (("check", "bad_games:shapes"), "NAME: environment bad_games:shapes: reward_local: must have shape (1, 2, 1)"),
        (
            ("check", "bad_games:numbers"),
            "bad_games:numbers: transition_local[s_g=0, s_l=1, a_l=0, s_l'=0]",
        ),
        (("check", "bad_games:raises"), "environment bad_games:raises raised KeyError: 'zone' (bad_games.py:"),
        (("check", "bad_games:nothing"), "bad_games:nothing: must return a distmarl.Environment, got a NoneType"),
    ],
)
def test_what_cannot_be_is_said_in_one_message(
    printed: Printed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "bad_games.py").write_text(BAD_GAMES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    said = printed(*words, code=2)
    assert said.startswith("error: ")
    assert message in said
    assert len(said.splitlines()) == 1


BAD_GAMES = """
import numpy as np
import distmarl as dm

def game(**changes):
    tables = dict(
        transition_global=np.ones((1, 1, 1)), transition_local=np.tile(np.eye(2)[None, :, None], (1, 1, 1, 1)),
        reward_global=np.zeros((1, 1)), reward_local=np.zeros((1, 2, 1)),
    )
    return dm.Environment(**tables | changes, n_agents=3, gamma=0.5)

def shapes():
    return game(reward_local=np.zeros((1, 3, 1)))

def numbers():
    moves = np.tile(np.eye(2)[None, :, None], (1, 1, 1, 1))
    moves[0, 1, 0, 0] = np.nan
    return game(transition_local=moves)

def needs(*, n_agents, gamma=0.9):
    return game()

def raises():
    return {}["zone"]

def nothing():
    game()
"""


@pytest.mark.parametrize("called", [["distmarl.games"], ["distmarl", "games"]])
def test_it_is_called_by_either_name(called: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *called], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("robots  G=5")
