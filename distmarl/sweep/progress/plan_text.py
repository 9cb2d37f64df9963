"""A plan in the terminal: what would run, how long it would take and how much memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from distmarl.results.storage.location import Location
from distmarl.study.kinds import KINDS
from distmarl.study.pending import Pending
from distmarl.study.plan import Plan
from distmarl.sweep.estimates.costs import Costs
from distmarl.sweep.estimates.forecast import Forecast
from distmarl.sweep.estimates.machine import machine_memory
from distmarl.sweep.estimates.requests import cores_for
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
    plan: Plan,
    folder: Location,
    pending: Pending,
    costs: Costs,
    output: Console,
    *,
    n_cpus: int,
    where: str,
    changes: Iterable[str] = (),
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
    changes : iterable of str
        Why what the folder holds is trained again.
    """
    for line in _overview(plan, folder):
        print_pair(output, *line)
    print_costs(plan, pending, costs, output, n_cpus=n_cpus, where=where)
    for number, change in enumerate(changes):
        print_pair(output, "" if number else "new", change)


def print_costs(plan: Plan, pending: Pending, costs: Costs, output: Console, *, n_cpus: int, where: str) -> None:
    """Print what would run of each kind of task, and how long all of it would take; see :func:`print_plan`."""
    stages = _stages(plan, pending, costs, n_cpus)
    table = _table(stages)
    if output.measure(table, options=output.options.update(max_width=PLAIN_WIDTH)).maximum <= output.width:
        output.print(table)
    else:
        for stage in stages:
            name, n_tasks, n_to_run, longest, total, memory = stage.cells
            output.print(f"{name}: {n_to_run} of {n_tasks}")
            if stage.n_to_run:
                print_pair(output, "", f"each at most {longest} and {memory}; {total} in all", indent=2)
    for line in _expectation(plan, pending, costs, n_cpus, where):
        print_pair(output, *line)


def print_pair(output: Console, name: str, text: str, indent: int = 11) -> None:
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
    if plan.n_train_seeds > 1:
        once = [kind.plural for kind in KINDS.values() if not kind.is_per_training and plan.n_tasks[kind.name]]
        once_each = f"; {', '.join(once)} once" if once else ""
        yield "trainings", f"{plan.n_train_seeds} of each setting{once_each}"
    yield "k", f"{_shortened(plan.k_values)}; the shared local policies are trained at k={_reference(plan)}"
    trainings = [kind for kind in KINDS.values() if kind.has_threads]
    needs = [
        (kind.n_bytes(job, k, 1), job, k if kind.per == "k" else job.setting.reference_k)
        for job in plan.jobs
        for kind in trainings
        for k in plan.k_values[-1:]
    ]
    _, largest, largest_k = max(needs, key=lambda need: need[0])
    yield "largest", f"k={largest_k}: {largest.n_count_vectors(largest_k):,} count vectors"


def _stages(plan: Plan, pending: Pending, costs: Costs, n_cpus: int) -> list[Stage]:
    """Return what would run of each kind of task."""
    node_memory = machine_memory()
    seconds: dict[str, list[tuple[float, int]]] = {kind: [] for kind in KINDS}
    n_bytes = dict.fromkeys(KINDS, 0)
    for group, seeds in pending.missing.items():
        kind, job = KINDS[group.kind], plan.by_id[group.setting_id]
        n_threads = cores_for(plan, pending, group, n_cpus, n_cpus, node_memory)
        seconds[kind.name].append((costs.seconds(group.kind, group.setting_id, group.k), len(seeds)))
        n_bytes[kind.name] = max(n_bytes[kind.name], kind.n_bytes(job, group.k, n_threads))
    n_tasks, n_missing = plan.n_tasks, pending.n_tasks
    return [
        Stage(
            name=kind.plural,
            n_tasks=n_tasks[name],
            n_to_run=n_missing[name],
            longest_s=max((each for each, _ in seconds[name]), default=0.0),
            total_s=sum(each * number for each, number in seconds[name]),
            n_bytes=n_bytes[name],
        )
        for name, kind in KINDS.items()
        if n_tasks[name]
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
    missing, node_memory = pending.by_setting(), machine_memory()
    for job in plan.jobs:
        for group, seeds in missing.get(job.setting_id, {}).items():
            if pending.needed(group) is None:
                n_threads = cores_for(plan, pending, group, n_cpus, n_cpus, node_memory)
                for seed in seeds:
                    forecast.submitted(group.task(seed), n_threads)
    return forecast.remaining_s()


def _shortened(ks: Sequence[int]) -> str:
    """Return subsample sizes as text, a range as its ends."""
    if len(ks) > 2 and list(ks) == list(range(ks[0], ks[-1] + 1)):
        return f"{ks[0]} to {ks[-1]}"
    return ", ".join(map(str, ks))


def _reference(plan: Plan) -> str:
    return ", ".join(map(str, sorted({job.setting.reference_k for job in plan.jobs})))
