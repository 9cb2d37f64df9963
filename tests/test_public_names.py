"""What a user's editor and type checker see of the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import distmarl as dm
from tests.conftest import REPOSITORY

SCRIPT = """
import distmarl as dm

env: dm.Environment = dm.robots(n_agents=6, gamma=0.9)
pair: dm.AlternatingResult = dm.train_alternating(env, k=2, seed=0, transitions="exact")
g: dm.GLearnResult = dm.g_learn(env, pair.local_policy, k=2)
best: dm.LLearnResult = dm.l_learn(env, g.policy, pair.local_policy, k=2)
value: dm.EvaluationResult = dm.evaluate(env, g.policy, best.policy, k=2, n_rollouts=5, horizon=5, seed=0)
exact: dm.ExactReturn = dm.exact_return(env, g.policy, dm.uniform_local_policy(env), k=2)
gaps: dm.NashGap = dm.nash_gap(env, pair.global_policy, pair.local_policy, k=2)
gain: dm.MeanEstimate = dm.estimate_difference(value.returns, value.returns)
mean: float = dm.estimate_mean(value.returns).mean + gain.mean + exact.value + value.mean
size: int = len(dm.count_vectors(2, 3)) + int(dm.rank([1, 1, 0]))
line: dm.Grid = dm.Grid(-1, 1, 5)
acting = dm.ContinuousPair(env, g.policy, best.policy, k=2, global_grid=line, local_grid=line)
action: int = int(acting.act_global(0.1, [0.2, -0.7])) + int(line.cell(0.3))
lower: dm.Quantity = gaps.global_lower
results = dm.open("results/robots")
policy = results.global_policy(2)
k: int = max(results.points()["k"])
ahead: float = dm.compare(results, "a", {"n_agents": 30}, k=2)["difference"].max()
wrong: str = gain.mean
"""
# What takes long to read, and of which a script sees frames at the most.
UNREAD = "[mypy]\n[mypy-pandas.*,matplotlib.*,pyarrow.*,pydantic.*,ray.*,rich.*,scipy.*]\nfollow_imports = skip\n"


def test_only_public_names_are_listed() -> None:
    assert dir(dm) == sorted([*dm.__all__, "compare", "figures", "open"])
    for name in dir(dm):
        assert getattr(dm, name) is not None


def test_a_users_script_is_typed_throughout(tmp_path: Path) -> None:
    """It finds the package on Python's path, as it would an installed one, by its marker of types."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "mypy.ini").write_text(f"{UNREAD}follow_imports_for_stubs = True\n")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir"]
    done = subprocess.run(
        [*command, str(REPOSITORY / ".mypy_cache" / "script"), "script.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = 'incompatible types in assignment (expression has type "float", variable has type "str")  [assignment]'
    assert done.stdout.lower() == f"script.py:{SCRIPT.count(chr(10))}: error: {said}\n".lower(), done.stdout
