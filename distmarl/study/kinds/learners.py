"""Letting model-free learners play the game, and evaluating what they have learnt at each budget of samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from distmarl.config.checking import k_values
from distmarl.errors import InvalidArgumentError
from distmarl.learning.model_free.learners import LEARNERS, check_budget, learn, table_bytes
from distmarl.learning.model_free.playing import n_parallel, samples_per_step
from distmarl.model.options import Experiment, LearnerName
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import LEARNERS as LEARNERS_TABLE
from distmarl.study.job import Job
from distmarl.study.kinds.kind import (
    Asked,
    Kind,
    Refusal,
    Rows,
    TaskKey,
    TaskPlace,
    TaskResult,
    in_short,
    nan_as_null,
    required,
)
from distmarl.study.kinds.pair_values import has_values, pair_values, values_bytes, values_s

# Of a step of all rollouts that are played side by side: once, and for each of their L^2 A_l ways to move.
PER_STEP_S, PER_WAY_S = 8e-4, 8e-8


def play_and_evaluate(job: Job, key: TaskKey, _n_threads: int) -> TaskResult:
    """Let the learner that the kind is named after play, and evaluate its pair at each budget."""
    k, budgets = required(key.k), _budgets(job.experiment)
    learnt = learn(job.environment, _name(key.kind), k=k, budgets=budgets, seed=job.training_seed(key.train_seed))
    rows = []
    for budget, result in zip(budgets, learnt, strict=True):
        row = {
            "sweep": job.sweep,
            "setting_id": key.setting_id,
            "k": k,
            "train_seed": key.train_seed,
            "learner": key.kind,
            "budget": budget,
            "n_samples": result.n_samples,
            "visited": result.visited,
            "n_agents": job.environment.n_agents,
            "gamma": job.environment.gamma,
            "horizon": job.setting.evaluation.horizon,
        }
        rows.append(nan_as_null(row | pair_values(job, k, key.train_seed, result.global_policy, result.local_policy)))
    return TaskResult(None, {LEARNERS_TABLE.name: rows})


def _name(kind: str) -> LearnerName:
    """Return the learner that a kind of task is named after."""
    (name,) = (name for name in LEARNERS if name == kind)
    return name


def _budgets(experiment: Experiment) -> list[int]:
    return sorted(set(experiment.baseline_samples))


def _seconds(job: Job, k: int, name: LearnerName) -> float:
    env = job.environment
    n_agents, budgets = LEARNERS[name].n_agents(env, k), _budgets(job.experiment)
    ways = n_parallel(n_agents) * env.n_local_states**2 * env.n_local_actions
    playing_s = budgets[-1] / samples_per_step(n_agents) * (PER_STEP_S + PER_WAY_S * ways)
    return playing_s + len(budgets) * values_s(job)


def _n_bytes(job: Job, k: int) -> int:
    # The table stays while a pair is evaluated.
    return table_bytes(job.environment, k=k) + values_bytes(job)


def _done(store: Snapshot, asked: Asked, name: LearnerName) -> Iterator[TaskPlace]:
    budgets: dict[TaskPlace, set[int]] = defaultdict(set)
    for row in store.rows(LEARNERS_TABLE):
        if row["learner"] == name and has_values(row, asked):
            place = TaskPlace(row["setting_id"], row["k"], train_seed=row["train_seed"])
            budgets[place].add(row["budget"])
    yield from (place for place, found in budgets.items() if found.issuperset(_budgets(asked.sweep.experiment)))


def _results(rows: Rows, _seconds: float) -> Iterator[str]:
    for row in rows.get(LEARNERS_TABLE.name, []):
        value = row["mean_return"] if row["exact_return"] is None else row["exact_return"]
        yield f"return {in_short(value)} with {row['n_samples']:,} samples"


def _refusals(job: Job, name: LearnerName) -> Iterator[Refusal]:
    budgets = _budgets(job.experiment)
    for k in k_values(job.experiment) if name in job.experiment.baselines else ():
        least = samples_per_step(LEARNERS[name].n_agents(job.environment, k))
        try:
            check_budget(job.environment, name, k=k, n_samples=budgets[0])
        except InvalidArgumentError as error:
            yield Refusal("experiment.baseline_samples", f"be at least {least:,} for {name}", budgets[0], error)


def _kind(name: LearnerName, noun: str) -> Kind:
    return Kind(
        name=name,
        noun=noun,
        plural=f"{noun} runs",
        per="k",
        table=LEARNERS_TABLE,
        run=play_and_evaluate,
        seconds=lambda job, k: _seconds(job, required(k), name),
        n_bytes=lambda job, k, _n_threads: _n_bytes(job, required(k)),
        is_extra=True,
        grows_with="k",
        is_asked_for=lambda sweep: name in sweep.experiment.baselines,
        done=lambda store, asked: _done(store, asked, name),
        results=_results,
        refusals=lambda job: _refusals(job, name),
    )


INDEPENDENT_Q = _kind("independent_q", "independent Q-learning")
SUBSAMPLED_Q = _kind("subsampled_q", "subsampled Q-learning")
