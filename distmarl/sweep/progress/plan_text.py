"""A plan in the terminal: what would run, how long it would take and how much memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from distmarl.results.storage.location import Location
from distmarl.study.pending import Pending
from distmarl.study.plan import Job, Plan, n_count_vectors_of
from distmarl.study.tasks import TaskKey, TaskKind
from distmarl.sweep.estimates.costs import Costs
from distmarl.sweep.estimates.forecast import Forecast, task_groups
from distmarl.sweep.estimates.memory import shared_policy_bytes, task_bytes, training_bytes
from distmarl.sweep.progress.lines import PHASES
from distmarl.terminal import PLAIN_WIDTH
from distmarl.wording import counted, duration, mebibytes

MAX_SETTINGS_SHOWN = 20
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Stage:
    """What would run of one kind of task.

    Attributes
    ----------
    name : str
        What the tasks make.
    n_tasks, n_to_run : int
        Tasks in all, and those that are missing.
    longest_s, total_s : float
        Core seconds of the longest task to run, and of all of them.
    n_bytes : int
        Memory of the largest task to run.
    """

    name: str
    n_tasks: int
    n_to_run: int
    longest_s: float
    total_s: float
    n_bytes: int

    @property
    def cells(self) -> tuple[str, ...]:
        """Columns of the table."""
        if not self.n_to_run:
            return self.name, f"{self.n_tasks:,}", "0", NOTHING, NOTHING, NOTHING
        times = (duration(float(self.longest_s)), duration(float(self.total_s)))
        return self.name, f"{self.n_tasks:,}", f"{self.n_to_run:,}", *times, mebibytes(max(self.n_bytes, 2**20))


def print_plan(
    plan: Plan, folder: Location, pending: Pending, costs: Costs, output: Console, *, n_cpus: int, where: str
) -> None:
    """Print what ``--plan`` tells.

    Parameters
    ----------
    plan : Plan
        The sweep.
    folder : Location
        Its results folder.
    pending : Pending
        What is missing of it.
    costs : Costs
        What tasks take.
    output : Console
        Where to print.
    n_cpus : int
        Cores that the tasks would have.
    where : str
        Whose cores they are, for people.
    """
    for line in _overview(plan, folder):
        _print_pair(output, *line)
    stages = _stages(plan, pending, costs, n_cpus)
    table = _table(stages)
    if output.measure(table, options=output.options.update(max_width=PLAIN_WIDTH)).maximum <= output.width:
        output.print(table)
    else:
        for stage in stages:
            name, n_tasks, n_to_run, longest, total, memory = stage.cells
            output.print(f"{name}: {n_to_run} of {n_tasks}")
            if stage.n_to_run:
                _print_pair(output, "", f"each at most {longest} and {memory}; {total} in all", indent=2)
    for line in _expectation(plan, pending, costs, n_cpus, where):
        _print_pair(output, *line)


def _print_pair(output: Console, name: str, text: str, indent: int = 11) -> None:
    """Print a name and what belongs to it, folded beside it."""
    width = max(output.width - indent, 20)
    lines = Text(text).wrap(output, width)
    for number, line in enumerate(lines):
        output.print(Text(f"{name if number == 0 else '':{indent}}").append_text(line), soft_wrap=True)


def _overview(plan: Plan, folder: Location) -> Iterator[tuple[str, str]]:
    """Yield what the sweep is."""
    yield "sweep", f"{plan.sweep.name}, into {folder}"
    yield "settings", f"{len(plan.jobs)}"
    for job in plan.jobs[:MAX_SETTINGS_SHOWN]:
        yield "", f"{job.setting_id}  {job.setting.label}".rstrip()
    if len(plan.jobs) > MAX_SETTINGS_SHOWN:
        yield "", f"... and {len(plan.jobs) - MAX_SETTINGS_SHOWN} more"
    yield "k", f"{_shortened(plan.k_values)}; the shared local policies are trained at k={_reference(plan)}"
    k = plan.k_values[-1]
    needs = [(training_bytes(job, k), job, k) for job in plan.jobs]
    needs += [(shared_policy_bytes(job), job, job.setting.reference_k) for job in plan.jobs]
    _, largest, largest_k = max(needs, key=lambda need: need[0])
    yield "largest", f"k={largest_k}: {n_count_vectors_of(largest, largest_k):,} count vectors"


def _stages(plan: Plan, pending: Pending, costs: Costs, n_cpus: int) -> list[Stage]:
    """Return what would run of each kind of task."""
    jobs = {job.setting_id: job for job in plan.jobs}
    seconds: dict[TaskKind, list[tuple[float, int]]] = {kind: [] for kind in PHASES}
    n_bytes: dict[TaskKind, int] = dict.fromkeys(PHASES, 0)
    for (kind, name, k), number in task_groups(pending):
        n_threads = plan.sweep.runner.cpus_per_train or 1
        if kind == "shared_policy":
            n_threads = _cpus_of_shared_policy(plan, pending, jobs[name], n_cpus)
        seconds[kind].append((costs.seconds(kind, name, k), number))
        n_bytes[kind] = max(n_bytes[kind], task_bytes(plan, jobs[name], kind, k, n_threads))
    return [
        Stage(
            name=phase,
            n_tasks=plan.n_tasks[kind],
            n_to_run=pending.n_tasks[kind],
            longest_s=max((each for each, _ in seconds[kind]), default=0.0),
            total_s=sum(each * number for each, number in seconds[kind]),
            n_bytes=n_bytes[kind],
        )
        for kind, phase in PHASES.items()
        if plan.n_tasks[kind]
    ]


def _table(stages: Sequence[Stage]) -> Table:
    """Return a table with a row for each stage, and one for all of them."""
    table = Table(box=box.SIMPLE_HEAD, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False, show_footer=True)
    in_all = Stage(
        "in all",
        sum(stage.n_tasks for stage in stages),
        sum(stage.n_to_run for stage in stages),
        max(stage.longest_s for stage in stages),
        sum(stage.total_s for stage in stages),
        max(stage.n_bytes for stage in stages),
    )
    names = ("stage", "tasks", "to run", "longest", "core time", "memory")
    for number, (name, total) in enumerate(zip(names, in_all.cells, strict=True)):
        table.add_column(name, total, justify="right" if number else "left", no_wrap=True)
    for stage in stages:
        table.add_row(*stage.cells)
    return table


def _expectation(plan: Plan, pending: Pending, costs: Costs, n_cpus: int, where: str) -> Iterator[tuple[str, str]]:
    """Yield how long all of it would take, and why that is thought."""
    if not any(pending.n_tasks.values()):
        yield "expected", "nothing is left to run"
        return
    expected_s = _expected_s(plan, pending, costs, n_cpus)
    yield "expected", f"about {duration(max(1, round(expected_s)))} on {counted(n_cpus, 'core')}{where}"
    yield "", f"predicted from {costs.basis}"


def _expected_s(plan: Plan, pending: Pending, costs: Costs, n_cpus: int) -> float:
    """Return the seconds that the tasks take on some cores; shared policies are lent the idle ones."""
    forecast = Forecast(pending, costs, cpus_per_train=plan.sweep.runner.cpus_per_train or 1)
    forecast.n_slots = n_cpus
    for job in plan.jobs:
        if job.setting_id in pending.shared_policies:
            key = TaskKey("shared_policy", job.setting_id)
            forecast.submitted(key, _cpus_of_shared_policy(plan, pending, job, n_cpus))
    return forecast.remaining_s()


def _cpus_of_shared_policy(plan: Plan, pending: Pending, job: Job, n_cpus: int) -> int:
    """Return the cores that a shared policy is trained on: those asked for, else its share of all of them."""
    share = n_cpus // len(pending.shared_policies)
    return plan.sweep.runner.cpus_per_train or max(1, min(share, job.environment.n_global_states))


def _shortened(ks: Sequence[int]) -> str:
    """Return subsample sizes as text, a range as its ends."""
    if len(ks) > 2 and list(ks) == list(range(ks[0], ks[-1] + 1)):
        return f"{ks[0]} to {ks[-1]}"
    return ", ".join(map(str, ks))


def _reference(plan: Plan) -> str:
    return ", ".join(map(str, sorted({job.setting.reference_k for job in plan.jobs})))
