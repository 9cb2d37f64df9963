"""Evaluating pairs of policies from elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.results.snapshot import Snapshot
from distmarl.results.tables import POLICIES
from distmarl.study.job import Job
from distmarl.study.kinds.kind import Asked, Kind, Rows, TaskKey, TaskPlace, TaskResult, in_short, nan_as_null, required
from distmarl.study.kinds.pair_values import has_values, pair_values, values_bytes, values_s


def evaluate_foreign_pairs(
    job: Job, key: TaskKey, _n_threads: int, local_policy: Array, global_policy: GlobalPolicy
) -> TaskResult:
    """Evaluate the pairs from elsewhere at one k; what a pair leaves out is the training's."""
    k, rows = required(key.k), []
    for name, by_k in job.policies.items():
        pair = by_k[k]
        ours = global_policy if pair.global_policy is None else pair.global_policy
        theirs = local_policy if pair.local_policy is None else pair.local_policy
        row = {
            "sweep": job.sweep,
            "setting_id": key.setting_id,
            "k": k,
            "train_seed": key.train_seed,
            "policy": name,
            "function": job.experiment.policies[name],
            "digest": pair.digest,
            "n_agents": job.environment.n_agents,
            "gamma": job.environment.gamma,
            "horizon": job.setting.evaluation.horizon,
        }
        rows.append(nan_as_null(row | pair_values(job, k, key.train_seed, ours, theirs)))
    return TaskResult(None, {POLICIES.name: rows})


def _done(store: Snapshot, asked: Asked) -> Iterator[TaskPlace]:
    """Yield where all pairs that are asked for have been evaluated, as they are now where that is known."""
    names: dict[TaskPlace, set[str]] = defaultdict(set)
    for row in store.rows(POLICIES):
        known = None if asked.policies is None else asked.policies.get(row["setting_id"], {})
        is_same = known is None or known.get((row["policy"], row["k"])) == row["digest"]
        if is_same and has_values(row, asked):
            names[TaskPlace(row["setting_id"], row["k"], train_seed=row["train_seed"])].add(row["policy"])
    yield from (place for place, found in names.items() if found.issuperset(asked.sweep.experiment.policies))


def _results(rows: Rows, _seconds: float) -> Iterator[str]:
    for row in rows.get(POLICIES.name, []):
        value = row["mean_return"] if row["exact_return"] is None else row["exact_return"]
        yield f"{row['policy']} {in_short(value)}"


FOREIGN_POLICIES = Kind(
    name="policies",
    noun="set of other pairs",
    plural="sets of other pairs",
    per="k",
    table=POLICIES,
    run=evaluate_foreign_pairs,
    seconds=lambda job, _k: len(job.policies) * values_s(job),
    n_bytes=lambda job, _k, _n_threads: values_bytes(job),
    needs="g_learn",
    is_extra=True,
    grows_with="rollouts",
    is_asked_for=lambda sweep: bool(sweep.experiment.policies),
    done=_done,
    results=_results,
)
