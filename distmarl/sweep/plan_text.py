"""A plan as text: what would run, and what it would take."""

from __future__ import annotations

from collections.abc import Sequence

from distmarl.results.location import Location
from distmarl.sweep.pending import Pending
from distmarl.sweep.plan import Plan, n_count_vectors_of
from distmarl.sweep.progress import PHASES
from distmarl.sweep.resources import mebibytes, shared_policy_bytes, training_bytes

MAX_SETTINGS_SHOWN = 20


def plan_lines(plan: Plan, folder: Location, pending: Pending) -> list[str]:
    """Return the lines that ``--plan`` prints."""
    ks = plan.k_values
    tasks = plan.n_tasks
    needs = [(training_bytes(job, ks[-1]), job, ks[-1]) for job in plan.jobs]
    needs += [(shared_policy_bytes(job), job, job.setting.reference_k) for job in plan.jobs]
    n_bytes, largest, largest_k = max(needs, key=lambda need: need[0])
    lines = [
        f"sweep      {plan.sweep.name}, into {folder}",
        f"settings   {len(plan.jobs)}",
    ]
    for job in plan.jobs[:MAX_SETTINGS_SHOWN]:
        lines.append(f"           {job.setting_id}  {job.setting.label}".rstrip())
    if len(plan.jobs) > MAX_SETTINGS_SHOWN:
        lines.append(f"           ... and {len(plan.jobs) - MAX_SETTINGS_SHOWN} more")
    lines += [
        f"k          {_shortened(ks)}; the shared local policies are trained at k={_reference(plan)}",
        f"tasks      {sum(tasks.values()):,}: "
        + ", ".join(f"{tasks[kind]:,} {name}" for kind, name in PHASES.items() if tasks[kind]),
        f"done       {pending.done.total():,}, so {sum(pending.n_tasks.values()):,} would run",
        f"largest    k={largest_k}: {n_count_vectors_of(largest, largest_k):,} count vectors, "
        f"about {mebibytes(n_bytes)} per task",
    ]
    return lines


def _shortened(ks: Sequence[int]) -> str:
    """Return subsample sizes as text, a range as its ends."""
    if len(ks) > 2 and list(ks) == list(range(ks[0], ks[-1] + 1)):
        return f"{ks[0]} to {ks[-1]}"
    return ", ".join(map(str, ks))


def _reference(plan: Plan) -> str:
    return ", ".join(map(str, sorted({job.setting.reference_k for job in plan.jobs})))
