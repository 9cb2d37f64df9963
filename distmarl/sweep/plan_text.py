"""A plan as text: what would run, and what it would take."""

from __future__ import annotations

from collections.abc import Sequence

from distmarl.results.location import Location
from distmarl.sweep.pending import Pending
from distmarl.sweep.plan import Plan, n_count_vectors_of, training_bytes
from distmarl.sweep.progress import PHASES

MAX_SETTINGS_SHOWN = 20


def plan_lines(plan: Plan, folder: Location, pending: Pending) -> list[str]:
    """Return the lines that ``--plan`` prints."""
    ks = plan.k_values
    tasks = plan.n_tasks
    largest, largest_k = max(
        ((job, k) for job in plan.jobs for k in {ks[-1], job.setting.reference_k}),
        key=lambda pair: training_bytes(*pair),
    )
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
        f"done       {pending.done.total():,}, so {sum(tasks.values()) - pending.done.total():,} would run",
        f"largest    k={largest_k}: {n_count_vectors_of(largest, largest_k):,} count vectors, "
        f"about {training_bytes(largest, largest_k) / 2**20:,.0f} MiB per task",
    ]
    return lines


def _shortened(ks: Sequence[int]) -> str:
    """Return subsample sizes as text, a range as its ends."""
    if len(ks) > 2 and list(ks) == list(range(ks[0], ks[-1] + 1)):
        return f"{ks[0]} to {ks[-1]}"
    return ", ".join(map(str, ks))


def _reference(plan: Plan) -> str:
    return ", ".join(map(str, sorted({job.setting.reference_k for job in plan.jobs})))
