"""How long the tasks of a sweep will take: predicted before they run, corrected by every one that ends.

A prediction is the time of the task on a reference core (:mod:`distmarl.study.seconds`) times a factor
for its kind: first one that the folder's own timings tell or, for a new folder, a few operations timed on the spot;
then that of the tasks of the kind that have ended last. All times are core seconds: of a task on one core.
"""

from __future__ import annotations

import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from distmarl.errors import InvalidArgumentError
from distmarl.learning.g_learn import learn_global
from distmarl.model.counts import n_count_vectors
from distmarl.model.policies import uniform_local_policy
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import TIMINGS
from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskGroup, TaskKey
from distmarl.study.pending import Pending
from distmarl.study.plan import Plan
from distmarl.study.seconds import evaluation_s, learning_sweep_s, training_s
from distmarl.values.evaluate import evaluate_seeds
from distmarl.wording import counted

# A factor rests on so many tasks, the last; one that took so many times longer than most counts as just so long.
N_REMEMBERED = 100
LARGEST_DEVIATION = 3.0
# Timed on the spot are a training of at most so many sweeps and rollouts of so many seeds and steps, none longer than
# so many seconds on the reference core: the fastest of some tries.
MAX_SWEEPS_TIMED, N_SEEDS_TIMED, N_STEPS_TIMED, MAX_TIMED_S, N_TRIES = 100, 10, 10, 0.05, 2
# A training of fewer sweeps tells nothing of them: most of its time is what comes before the first.
MIN_SWEEPS_TIMED = 10
# A machine is busy when what is timed waits for more than a third of its time.
BUSY = 1.5

# A factor and its weight.
Measured = tuple[float, float]


class Costs:
    """Predicts the times of tasks.

    Parameters
    ----------
    plan : Plan
        The sweep.
    factors : dict of str to float
        For each kind of task, the first factor; 1 where there is none.
    basis : str
        What these rest on, for people.
    """

    def __init__(self, plan: Plan, factors: Mapping[str, float], basis: str) -> None:
        self.basis = basis
        self._jobs = plan.by_id
        self._factors = factors
        self._first: dict[TaskGroup, float] = {}
        # Of the last tasks of each kind, beyond the first factor.
        self._measured: dict[str, deque[Measured]] = defaultdict(lambda: deque(maxlen=N_REMEMBERED))
        self._corrections: dict[str, float] = {}

    def seconds(self, kind: str, setting_id: str, k: int | None = None) -> float:
        """Return the core seconds that a task is expected to take."""
        return self._first_seconds(TaskGroup(kind, setting_id, k)) * self._correction(kind)

    def learn(self, key: TaskKey, timing: Mapping[str, Any]) -> None:
        """Learn how long a task took."""
        expected = self._first_seconds(TaskGroup(key.kind, key.setting_id, key.k))
        self._measured[key.kind].append((core_seconds(timing) / expected, expected))
        self._corrections.clear()

    def _first_seconds(self, group: TaskGroup) -> float:
        if group not in self._first:
            reference = KINDS[group.kind].seconds(self._jobs[group.setting_id], group.k)
            self._first[group] = reference * self._factors.get(group.kind, 1.0)
        return self._first[group]

    def _correction(self, kind: str) -> float:
        """Return what the tasks of a kind tell or, while none has ended, those of the other kinds."""
        if kind not in self._corrections:
            known = self._measured
            others = [robust_mean(each) for each in known.values()] if kind not in known else []
            found = robust_mean(known[kind]) if kind in known else statistics.median(others or [1.0])
            self._corrections[kind] = found
        return self._corrections[kind]


def robust_mean(measured: Iterable[Measured]) -> float:
    """Return a weighted mean of factors in which no outlier counts for much."""
    factors, weights = map(np.array, zip(*measured, strict=True))
    middle = np.median(factors)
    return float(np.average(np.clip(factors, middle / LARGEST_DEVIATION, middle * LARGEST_DEVIATION), weights=weights))


def core_seconds(timing: Mapping[str, Any]) -> float:
    """Return the core seconds of a task: where it had threads, the time of its processor."""
    return max(timing["seconds"], timing["cpu_seconds"] or 0.0)


def estimate_costs(plan: Plan, store: Snapshot | None, pending: Pending) -> Costs:
    """Return what is known about a sweep's costs before it runs.

    Parameters
    ----------
    plan : Plan
        The sweep.
    store : Snapshot, optional
        The tables of its results folder, whose timings are preferred.
    pending : Pending
        What is missing; where nothing is, no time is spent on what nobody asks for.
    """
    if not pending.missing:
        return Costs(plan, {}, "nothing, as nothing is missing")
    started_at, cores_at = time.perf_counter(), time.process_time()
    with threadpool_limits(limits=1):  # as tasks run
        timed = _time_on_the_spot(plan)
    elapsed, cores = time.perf_counter() - started_at, time.process_time() - cores_at
    measured = _stored_factors(plan, store.rows(TIMINGS) if store else [])
    if not measured and not timed:
        return Costs(plan, {}, "the times of another machine, as no task can be timed on this one in a moment")
    if not measured:
        busy = f", which other work makes {elapsed / cores:.1f} times slower now" if elapsed > BUSY * cores else ""
        return Costs(plan, timed, f"short tasks, timed on this machine in {1000 * elapsed:.0f} ms{busy}")
    factors = {kind: robust_mean(each) for kind, each in measured.items()}
    # The kinds that were not timed: by as much slower than here as the others.
    slower = statistics.median(factor / timed.get(kind, 1.0) for kind, factor in factors.items())
    n_tasks = sum(map(len, measured.values()))
    return Costs(
        plan,
        {kind: timed.get(kind, 1.0) * slower for kind in KINDS} | factors,
        f"the timings of {counted(n_tasks, 'task')} in the results folder",
    )


def _stored_factors(plan: Plan, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Measured]]:
    """Return the factors of the tasks of a plan that have run."""
    jobs = plan.by_id
    measured: dict[str, list[Measured]] = defaultdict(list)
    for row in rows:
        if row["setting_id"] in jobs and row["task"] in KINDS:
            expected = KINDS[row["task"]].seconds(jobs[row["setting_id"]], row["k"])
            measured[row["task"]].append((core_seconds(row) / expected, expected))
    return measured


def _time_on_the_spot(plan: Plan) -> dict[str, float]:
    """Return by how much this machine is slower than the reference core; nothing about kinds that take too long."""
    job = plan.jobs[0]
    env, options, evaluation = job.environment, job.setting.global_agent, job.setting.evaluation
    local_policy = uniform_local_policy(env)
    trainings = {k: training_s(job, k) for k in plan.k_values}
    rollouts = evaluation_s(job, N_SEEDS_TIMED, N_STEPS_TIMED)
    k = max((k for k, seconds in trainings.items() if seconds <= MAX_TIMED_S), default=None)
    factors: dict[str, float] = {}

    n_sweeps: list[int] = []

    def train() -> None:
        short = replace(options, max_vi_iterations=min(options.max_vi_iterations, MAX_SWEEPS_TIMED))
        n_sweeps.append(learn_global(env, local_policy, k=k or 1, options=short).n_iterations)

    def roll_out() -> object:
        blind = np.zeros((env.n_global_states, n_count_vectors(1, env.n_classes)), dtype=np.int64)
        few_steps = replace(evaluation, horizon=N_STEPS_TIMED)
        return evaluate_seeds(env, blind, local_policy, k=1, options=few_steps, seeds=range(N_SEEDS_TIMED))

    if rollouts <= MAX_TIMED_S:
        factors = dict.fromkeys(KINDS, _fastest(roll_out) / rollouts)
    if k is not None:
        with suppress(InvalidArgumentError):  # which the tasks will meet, and tell
            seconds = _fastest(train)
            if n_sweeps[0] >= MIN_SWEEPS_TIMED:
                slower = seconds / (n_sweeps[0] * learning_sweep_s(job, k, options.transitions))
                factors = dict.fromkeys(KINDS, slower) | {"evaluate": factors.get("evaluate", slower)}
    return factors


def _fastest(function: Callable[[], object]) -> float:
    """Return the core seconds of the fastest of some tries: other work on the machine does not count."""

    def seconds() -> float:
        started_at = time.process_time()
        function()
        return time.process_time() - started_at

    return min(seconds() for _ in range(N_TRIES))
