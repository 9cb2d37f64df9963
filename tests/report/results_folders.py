"""Small results folders, written as a sweep writes them."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from distmarl.results.folder import start_session
from distmarl.results.provenance import now
from distmarl.results.schemas import EVALUATIONS, FAILURES, TIMINGS, TRAININGS
from distmarl.results.store import Store

Point = tuple[str, int, int]
PLAIN = {"only": {}}


def evaluation_row(name: str, k: int, seed: int, mean_return: float, accuracy: float | None = 0.5) -> dict[str, Any]:
    return {
        "sweep": "tiny",
        "setting_id": name,
        "k": k,
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
        "transitions": "sampled",
        "n_count_vectors": k + 1,
        "n_iterations": 7,
        "bound": 1e-7 if converged else 0.25,
        "converged": converged,
    }


def timing_row(task: str, name: str, k: int | None, seconds: float) -> dict[str, Any]:
    return {"sweep": "tiny", "task": task, "setting_id": name, "k": k, "seed": None, "seconds": seconds}


def failure_row(name: str, k: int) -> dict[str, Any]:
    return {
        "sweep": "tiny",
        "task": "g_learn",
        "setting_id": name,
        "k": k,
        "seed": None,
        "error": "ValueError: no",
        "failed_at": datetime.now(timezone.utc),
    }


def setting_row(name: str, grid: Mapping[str, Any], *, in_sweep: bool = True) -> dict[str, Any]:
    content: dict[str, dict[str, Any]] = {}
    for key, value in grid.items():
        section, _, parameter = key.partition(".")
        content.setdefault(section, {})[parameter] = value
    label = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in grid.items())
    return {
        "sweep": "tiny",
        "setting_id": name,
        "in_sweep": in_sweep,
        "label": label,
        "content": json.dumps(content),
    }


def start_folder(
    folder: Path,
    *,
    k_values: Sequence[int] = (1, 2),
    n_eval_seeds: int = 2,
    settings: Mapping[str, Mapping[str, Any]] = PLAIN,
) -> Store:
    """Return the store of a sweep that has just started; settings are ids and their grid values."""
    folder.mkdir(parents=True, exist_ok=True)
    resolved = {
        "name": "tiny",
        "environment": {"name": "robots"},
        "experiment": {"k_values": list(k_values), "n_eval_seeds": n_eval_seeds},
    }
    store = start_session(folder, "tiny", resolved, {"command": ["tiny"], "started_at": now()}, overwrite=False)
    grid_keys = dict.fromkeys(key for grid in settings.values() for key in grid)
    store.add_settings([setting_row(name, grid) for name, grid in settings.items()], grid_keys)
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
) -> None:
    """Commit the trainings and evaluations of (setting, k, seed) points, as tasks would."""
    points, capped = list(points), set(unconverged)
    for name, k in dict.fromkeys((name, k) for name, k, _ in points):
        training = training_row(name, k, converged=(name, k) not in capped)
        timing = timing_row("g_learn", name, k, seconds(name, k))
        store.commit(f"g_learn-{name}-{k}", [(TIMINGS, [timing]), (TRAININGS, [training])])
    for name, k, seed in points:
        row = evaluation_row(name, k, seed, value(name, k, seed), accuracy(name, k))
        timing = {**timing_row("evaluate", name, k, 0.01), "seed": seed}
        store.commit(f"evaluate-{name}-{k}-{seed}", [(TIMINGS, [timing]), (EVALUATIONS, [row])])


def grid_of(names: Iterable[str], k_values: Iterable[int], n_seeds: int) -> list[Point]:
    ks = list(k_values)
    return [(name, k, seed) for name in names for k in ks for seed in range(n_seeds)]


def saturating(top: float, k: int, seed: int) -> float:
    """Return a value that grows with k as a sweep's does, with a scatter over seeds."""
    return top * (1 - 0.15 * math.exp(-k / 5)) + 0.8 * math.sin(7.3 * seed + 1.7 * k)
