"""What is too much for one sweep: refused before it is unfolded, which would take all the memory there is."""

from __future__ import annotations

import math

from distmarl.config.checking import k_values
from distmarl.config.reading import KeyPath, RawSweep
from distmarl.errors import ConfigError
from distmarl.model.checks import is_integer
from distmarl.model.options import SweepFile

# A plan of as many takes minutes and some gigabytes.
MAX_SETTINGS = 100_000
MAX_STARTS = 1_000_000
MAX_PAIRS = 1_000_000
MAX_EVALUATIONS = 10_000_000
RANDOM_STARTS = "alternating.n_random_starts"


def check_size(raw: RawSweep, sweep: SweepFile) -> None:
    """Refuse a sweep of more settings, starts, pairs or evaluations than one driver can keep track of.

    Raises
    ------
    ConfigError
        Naming the key, its value and the largest that is possible.
    """
    experiment, n_settings = sweep.experiment, math.prod(map(len, sweep.grid.values()))
    n_k, n_seeds = len(k_values(experiment)), experiment.n_eval_seeds
    n_trainings = experiment.n_train_seeds
    k_key = "k_range" if experiment.k_values is None else "k_values"
    of_grid = f" in {n_settings:,} settings" if sweep.grid else ""
    if n_settings > MAX_SETTINGS:
        sizes = " x ".join(f"{len(values):,}" for values in sweep.grid.values())
        rule = f"must have at most {MAX_SETTINGS:,} combinations, got {sizes} = {n_settings:,}"
        _refuse(raw, ("grid",), rule, "fewer values")
    varied = sweep.grid.get(RANDOM_STARTS, [sweep.alternating.n_random_starts])
    n_random = max([value for value in varied if is_integer(value)], default=0)  # others are refused by themselves
    if n_settings * n_random > MAX_STARTS:
        rule = f"must ask for at most {MAX_STARTS:,} starts, got {n_random:,}{of_grid}"
        in_grid = ("grid", RANDOM_STARTS) if RANDOM_STARTS in sweep.grid else tuple(RANDOM_STARTS.split("."))
        _refuse(raw, in_grid, rule, "fewer random starts")
    if n_settings * n_k > MAX_PAIRS:
        rule = f"must ask for at most {MAX_PAIRS:,} trained pairs, got {n_k:,} subsample sizes{of_grid}"
        _refuse(raw, ("experiment", k_key), rule, "fewer sizes, as in k_values: [1, 2, 5, 10, 20, 50]")
    if n_settings * n_k * n_trainings > MAX_PAIRS:
        rule = f"must ask for at most {MAX_PAIRS:,} trained pairs, got {n_trainings:,} trainings of {n_k:,} k{of_grid}"
        _refuse(raw, ("experiment", "n_train_seeds"), rule, "fewer trainings")
    if n_settings * n_k * n_trainings * n_seeds > MAX_EVALUATIONS:
        of_each = f" and {n_trainings:,} trainings" if n_trainings > 1 else ""
        got = f"got {n_seeds:,} seeds of {n_k:,} k{of_each}{of_grid}"
        rule = f"must ask for at most {MAX_EVALUATIONS:,} evaluations, {got}"
        _refuse(raw, ("experiment", "n_eval_seeds"), rule, "fewer seeds with more evaluation.n_rollouts each")


def _refuse(raw: RawSweep, path: KeyPath, rule: str, remedy: str) -> None:
    raise ConfigError(f"{raw.place(path)}: {'.'.join(map(str, path))}: {rule}; choose {remedy}, or several sweeps")
