"""Small results folders, written as a sweep writes them."""

import itertools
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from distmarl.results.store import Store
from distmarl.results.tables import (
    ALTERNATIONS,
    EVALUATIONS,
    FAILURES,
    GLOBAL_POLICIES,
    LOCAL_POLICIES,
    ROLLOUTS,
    TIMINGS,
    TRAININGS,
)
from distmarl.wording import timestamp
from tests.places import start_session

Point = tuple[str, int, int]
PLAIN = {"only": {}}


def evaluation_row(name: str, k: int, seed: int, mean_return: float, accuracy: float | None = 0.5) -> dict[str, Any]:
    return {
        "sweep": "tiny",
        "setting_id": name,
        "k": k,
        "train_seed": 0,
        "seed": seed,
        "n_agents": 30,
        "gamma": 0.95,
        "n_rollouts": 1,
        "horizon": 50,
        "mean_return": mean_return,
        "std_return": None,
        "min_return": mean_return,
        "max_return": mean_return,
        "mode_accuracy": accuracy,
        "returns": [mean_return],
    }


def training_row(name: str, k: int, *, converged: bool = True) -> dict[str, Any]:
    return {
        "sweep": "tiny",
        "setting_id": name,
        "k": k,
        "train_seed": 0,
        "transitions": "sampled",
        "n_count_vectors": k + 1,
        "n_iterations": 7,
        "bound": 1e-7 if converged else 0.25,
        "converged": converged,
    }


def learner_row(name: str, k: int, learner: str, budget: int, train_seed: int = 0) -> dict[str, Any]:
    value = 10.0 * k + math.log10(budget) + train_seed - (learner == "subsampled_q")
    return {
        "sweep": "tiny",
        "setting_id": name,
        "k": k,
        "train_seed": train_seed,
        "learner": learner,
        "budget": budget,
        "n_samples": budget - 10,
        "visited": 0.5,
        "n_agents": 30,
        "gamma": 0.95,
        "horizon": 50,
        "n_rollouts": 500,
        "mean_return": value,
        "standard_error": 0.1,
        "ci95_low": value - 0.2,
        "ci95_high": value + 0.3,
    }


def timing_row(task: str, name: str, k: int | None, seconds: float) -> dict[str, Any]:
    place = {"setting_id": name, "k": k, "train_seed": 0, "seed": None}
    return {"sweep": "tiny", "task": task, **place, "seconds": seconds}


def failure_row(name: str, k: int) -> dict[str, Any]:
    return {
        "sweep": "tiny",
        "task": "g_learn",
        "setting_id": name,
        "k": k,
        "train_seed": 0,
        "seed": None,
        "error": "ValueError: no",
        "failed_at": datetime.now(timezone.utc),
    }


def setting_row(name: str, grid: Mapping[str, Any], *, in_sweep: bool = True, position: int = 0) -> dict[str, Any]:
    content: dict[str, dict[str, Any]] = {}
    for key, value in grid.items():
        section, _, parameter = key.partition(".")
        content.setdefault(section, {})[parameter] = value
    label = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in grid.items())
    return {
        "sweep": "tiny",
        "setting_id": name,
        "in_sweep": in_sweep,
        "position": position,
        "label": label,
        "content": json.dumps(content),
    }


def start_folder(
    folder: Path,
    *,
    k_values: Sequence[int] = (1, 2),
    n_eval_seeds: int = 2,
    n_train_seeds: int = 1,
    settings: Mapping[str, Mapping[str, Any]] = PLAIN,
) -> Store:
    """Return the store of a sweep that has just started; settings are ids and their grid values."""
    folder.mkdir(parents=True, exist_ok=True)
    resolved = {
        "name": "tiny",
        "environment": {"name": "robots"},
        "experiment": {"k_values": list(k_values), "n_eval_seeds": n_eval_seeds, "n_train_seeds": n_train_seeds},
    }
    store = start_session(folder, "tiny", resolved, {"command": ["tiny"], "started_at": timestamp()}, overwrite=False)
    grid_keys = dict.fromkeys(key for grid in settings.values() for key in grid)
    rows = [setting_row(name, grid, position=position) for position, (name, grid) in enumerate(settings.items())]
    store.add_settings(rows, grid_keys)
    store.replace(FAILURES, [])
    return store


def commit_points(
    store: Store,
    points: Iterable[Point],
    *,
    value: Callable[[str, int, int], float] = lambda _, k, seed: 10.0 * k + seed,
    accuracy: Callable[[str, int], float | None] = lambda _, k: 1 - 0.5 / k,
    seconds: Callable[[str, int], float] = lambda _, k: 0.25 * k,
    unconverged: Iterable[tuple[str, int]] = (),
    whole: bool = False,
) -> None:
    """Commit the trainings and evaluations of (setting, k, seed) points, as tasks would; ``whole`` ones are done."""
    points, capped = list(points), set(unconverged)
    for name, k in dict.fromkeys((name, k) for name, k, _ in points):
        training = training_row(name, k, converged=(name, k) not in capped)
        timing = timing_row("g_learn", name, k, seconds(name, k))
        beside = [(GLOBAL_POLICIES, global_policy_rows(name, k)), (ROLLOUTS, [rollout_row(name, k)])] if whole else []
        store.commit(f"g_learn-{name}-{k}", [(TIMINGS, [timing]), *beside, (TRAININGS, [training])])
    for name, k, seed in points:
        row = evaluation_row(name, k, seed, value(name, k, seed), accuracy(name, k))
        timing = {**timing_row("evaluate", name, k, 0.01), "seed": seed}
        store.commit(f"evaluate-{name}-{k}-{seed}", [(TIMINGS, [timing]), (EVALUATIONS, [row])])


def rollout_row(name: str, k: int, *, n_steps: int = 6, n_global_actions: int = 3) -> dict[str, Any]:
    """Return a rollout of four agents in three states: all stay but one, and the global agent follows from k = 2 on."""
    populations = [[3, 1, 0] if step < n_steps // 2 else [0, 2, 2] for step in range(n_steps)]
    return {
        "sweep": "tiny",
        "setting_id": name,
        "k": k,
        "train_seed": 0,
        "seed": 0,
        "n_agents": 4,
        "gamma": 0.95,
        "n_global_actions": n_global_actions,
        "global_states": [0] * n_steps,
        "global_actions": [0 if k == 1 or step < n_steps // 2 else 2 for step in range(n_steps)],
        "populations": populations,
        "modes": [[0] if population[0] else [1, 2] for population in populations],
        "rewards": [1.0] * n_steps,
    }


def local_policy_rows(name: str, n_global_states: int = 2) -> list[dict[str, Any]]:
    """Return a local policy of three local states and two actions, whose first action has the chance s_l / 4."""
    about = {"sweep": "tiny", "setting_id": name, "train_seed": 0}
    return [
        {**about, "s_g": s_g, "s_l": s_l, "a_l": a_l, "probability": probability}
        for s_g in range(n_global_states)
        for s_l in range(3)
        for a_l, probability in enumerate((s_l / 4, 1 - s_l / 4))
    ]


def global_policy_rows(name: str, k: int, n_global_states: int = 2) -> list[dict[str, Any]]:
    """Return a global policy that goes to the first of the most populated of three states."""
    counts = [(i, j, k - i - j) for i in range(k + 1) for j in range(k + 1 - i)]
    actions = [count.index(max(count)) for count in counts]
    about = {"sweep": "tiny", "setting_id": name, "k": k, "train_seed": 0}
    return [{**about, "s_g": s_g, "actions": actions} for s_g in range(n_global_states)]


def alternation_row(
    name: str,
    iteration: int,
    value: float,
    *,
    accepted: bool = True,
    proposal: str = "pair",
    stopped: str | None = None,
) -> dict[str, Any]:
    return {
        "sweep": "tiny",
        "setting_id": name,
        "train_seed": 0,
        "iteration": iteration,
        "proposal": proposal,
        "reference_k": 2,
        "joint_value": value,
        "accepted": accepted,
        "stopped_because": stopped,
    }


def history_of(name: str, value: float) -> list[dict[str, Any]]:
    """Return an alternation whose second proposal was reverted."""
    return [
        alternation_row(name, 0, value),
        alternation_row(name, 1, value - 1, accepted=False, stopped="reverted"),
    ]


def task_row(task: str, start: float, seconds: float, host: str = "node-1", **columns: Any) -> dict[str, Any]:
    """Return a timing of a task that started some seconds after the sweep."""
    return {
        "sweep": "tiny",
        "task": task,
        "setting_id": "only",
        "train_seed": 0,
        "seconds": seconds,
        "cpu_seconds": seconds / 2,
        "hostname": host,
        "started_at": datetime(2026, 1, 2, tzinfo=timezone.utc) + timedelta(seconds=start),
        **columns,
    }


def commit_details(store: Store, names: Iterable[str], k_values: Sequence[int]) -> None:
    """Commit what the figures of policies, rollouts and tasks are drawn from."""
    names = list(names)
    points = list(itertools.product(names, k_values))
    store.commit(
        "details",
        [
            (TIMINGS, [task_row("shared_policy", 3.0 * i, 2.0, setting_id=name, k=2) for i, name in enumerate(names)]),
            (LOCAL_POLICIES, [row for name in names for row in local_policy_rows(name)]),
            (ALTERNATIONS, [row for place, name in enumerate(names) for row in history_of(name, 9.0 + place)]),
            (GLOBAL_POLICIES, [row for point in points for row in global_policy_rows(*point)]),
            (ROLLOUTS, [rollout_row(*point) for point in points]),
        ],
    )


def grid_of(names: Iterable[str], k_values: Iterable[int], n_seeds: int) -> list[Point]:
    ks = list(k_values)
    return [(name, k, seed) for name in names for k in ks for seed in range(n_seeds)]


def saturating(top: float, k: int, seed: int) -> float:
    """Return a value that grows with k as a sweep's does, with a scatter over seeds."""
    return top * (1 - 0.15 * math.exp(-k / 5)) + 0.8 * math.sin(7.3 * seed + 1.7 * k)
