"""The expected end of a sweep, on a virtual clock: a tenth of the way it is known to within 30 %."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import pytest

from distmarl.config.reading import read_sweep_file
from distmarl.study.kinds import KINDS
from distmarl.study.kinds.kind import TaskKey
from distmarl.study.plan import Plan, make_plan
from distmarl.sweep import pace
from distmarl.sweep.driver import Driver
from distmarl.sweep.estimates.costs import Costs
from distmarl.sweep.estimates.forecast import Forecast
from distmarl.sweep.executors.execution import Outcome
from distmarl.sweep.progress.lines import Progress
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.stopping import Stop
from tests.commands import REPOSITORY
from tests.sweep.simulated import Durations, NoStore, VirtualExecutor, settings_of_seeds
from tests.sweep.sweeps import changed, plan_of

TENTH = 0.1


@pytest.fixture(autouse=True)
def _no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit at once: delays are in seconds of another clock."""
    monkeypatch.setattr(pace, "MAX_COMMIT_DELAY_S", 0.0)


class ForecastProgress(Progress):
    """Predicts the end, once, as soon as a tenth of the work is done."""

    def __init__(self, plan: Plan, executor: VirtualExecutor, costs: Costs, total_work: float) -> None:
        self.end: float | None = None
        self.naive_end = 0.0
        self._executor = executor
        self._total_work = total_work
        self._work = 0.0
        self._n_done = 0
        self._forecast = Forecast(plan.pending(None), costs, clock=lambda: executor.now)

    def look(self, n_slots: int, n_nodes: int) -> None:  # noqa: ARG002
        self._forecast.n_slots = n_slots

    def submitted(self, key: TaskKey, n_cpus: int) -> None:
        self._forecast.submitted(key, n_cpus)

    def completed(self, key: TaskKey, outcome: Outcome, tally: Tally) -> None:
        self._forecast.completed(key, outcome.timing, failed=outcome.failure is not None)
        self._work += outcome.timing["seconds"]
        self._n_done += 1
        if self.end is None and self._work >= TENTH * self._total_work:
            now, n_slots = self._executor.now, self._executor.n_slots
            self.end = now + self._forecast.remaining_s()
            n_left = tally.total.total() - self._n_done
            self.naive_end = now + n_left * self._work / self._n_done / n_slots


def run(plan: Plan, durations: Durations, n_slots: int, factors: dict[Any, float] | None = None) -> tuple[float, float]:
    """Return what was predicted after a tenth of the work over what it took, and the same of a mean per task."""
    executor = VirtualExecutor(n_slots, durations)
    keys = [group.task(seed) for group, seeds in plan.pending(None).missing.items() for seed in seeds]
    progress = ForecastProgress(plan, executor, Costs(plan, factors or {}, ""), sum(map(durations, keys)))
    tally = Driver(plan, NoStore(), executor, progress, Stop()).run()
    assert tally.done == tally.total
    assert progress.end is not None
    return progress.end / executor.now, progress.naive_end / executor.now


def scattered(plan: Plan, factors: Callable[[TaskKey], float], scatter: float = 0.5, seed: int = 0) -> Durations:
    """Return durations that the operations tell but for a factor and chance, which makes some evaluations linger."""
    jobs = {job.setting_id: job for job in plan.jobs}

    @functools.cache
    def duration(key: TaskKey) -> float:
        chance = random.Random(f"{seed} {key}")
        lingers = 20.0 if key.kind == "evaluate" and chance.random() < 0.002 else 1.0
        reference = KINDS[key.kind].seconds(jobs[key.setting_id], key.k)
        return reference * factors(key) * chance.uniform(1 - scatter, 1 + scatter) * lingers

    return duration


def robots(**sections: dict[str, Any]) -> Plan:
    return plan_of(changed({"name": "robots", "environment": {"n_agents": 100}}, **sections))


SHAPES: dict[str, tuple[Callable[[], Plan], int]] = {
    "one setting, few slots": (robots, 2),
    "one setting, many slots": (lambda: robots(experiment={"n_eval_seeds": 40}), 16),
    "steep": (lambda: robots(experiment={"k_values": [1, 5, 10, 20, 40, 60]}), 4),
    "exact": (lambda: robots(global_agent={"transitions": "exact"}, experiment={"k_range": [1, 40]}), 4),
    "mostly evaluations": (lambda: robots(experiment={"k_range": [1, 8], "n_eval_seeds": 200}), 4),
    "many settings": (lambda: settings_of_seeds(20, k_values=range(1, 26)), 16),
    "settings in waves": (lambda: settings_of_seeds(40), 32),
    "unlike settings": (
        lambda: robots(grid={"environment.n_agents": [30, 60], "experiment.reference_k": [5, 25]}),
        3,
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slower", [0.3, 40.0])
def test_a_tenth_of_the_way_the_end_is_known_to_within_30_percent(shape: str, slower: float) -> None:
    make_plan, n_slots = SHAPES[shape]
    plan = make_plan()
    ratio, _ = run(plan, scattered(plan, lambda _: slower), n_slots)
    assert 0.7 < ratio < 1.3


# Median processor seconds of the tasks of sweeps/robots.yaml at k = 1 to 25, measured: two workers on the two cores of
# a virtual machine on which other programs ran.
SHARED_POLICY_S, BASELINES_S = 2.49, 1.81
G_LEARN_S = (
    0.014, 0.014, 0.015, 0.016, 0.019, 0.022, 0.021, 0.026, 0.042, 0.039, 0.062, 0.065, 0.089,
    0.087, 0.122, 0.154, 0.172, 0.208, 0.263, 0.345, 0.397, 0.506, 0.521, 0.570, 0.753,
)  # fmt: skip
EVALUATE_S = (
    0.0097, 0.0044, 0.0038, 0.0047, 0.0037, 0.0044, 0.0051, 0.0054, 0.0053, 0.0042, 0.0057, 0.0040, 0.0042,
    0.0036, 0.0037, 0.0045, 0.0036, 0.0042, 0.0040, 0.0043, 0.0040, 0.0043, 0.0099, 0.0040, 0.0131,
)  # fmt: skip


def replayed(key: TaskKey) -> float:
    """Return how long a task of sweeps/robots.yaml took when it was measured."""
    if key.k is None:
        return BASELINES_S if key.kind == "baselines" else SHARED_POLICY_S
    return (EVALUATE_S if key.kind == "evaluate" else G_LEARN_S)[key.k - 1]


@pytest.mark.parametrize("n_slots", [1, 2, 4, 16])
def test_a_tenth_of_the_way_the_end_of_a_sweep_that_was_measured_is_known_to_within_30_percent(n_slots: int) -> None:
    plan = make_plan(read_sweep_file(REPOSITORY / "sweeps" / "robots.yaml"))
    ratio, naive = run(plan, replayed, n_slots)
    assert 0.7 < ratio < 1.3
    assert not 0.7 < naive < 1.3


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "mostly evaluations"])
def test_the_mean_per_task_so_far_would_be_far_off(shape: str) -> None:
    make_plan, n_slots = SHAPES[shape]
    plan = make_plan()
    _, naive = run(plan, scattered(plan, lambda _: 1.0), n_slots)
    assert not 0.7 < naive < 1.3


def test_kinds_of_tasks_may_be_off_by_factors_of_their_own_where_earlier_timings_tell_them() -> None:
    plan = robots(experiment={"k_range": [1, 15], "n_eval_seeds": 40})
    off: dict[str, float] = {"shared_policy": 2.0, "g_learn": 5.0, "evaluate": 0.5}
    durations = scattered(plan, lambda key: off[key.kind], scatter=0.25)
    assert 0.7 < run(plan, durations, 4, off)[0] < 1.3
    assert not 0.7 < run(plan, durations, 4)[0] < 1.3


def test_tasks_of_several_cores_take_several_slots() -> None:
    plan = robots(experiment={"n_eval_seeds": 1})
    costs = Costs(plan, {}, "")
    forecast = Forecast(plan.pending(None), costs, cpus_per_train=4)
    forecast.n_slots = 4
    work = sum(costs.seconds(group.kind, group.setting_id, group.k) for group in plan.pending(None).missing)
    assert forecast.remaining_s() == pytest.approx(work / 4, rel=0.01)
    forecast.n_slots = 7  # three of them have nothing but evaluations to do
    assert forecast.remaining_s() > 0.8 * work / 4


def test_what_cannot_run_any_more_takes_no_time() -> None:
    plan = robots(experiment={"k_values": [1, 25], "n_eval_seeds": 1000})
    forecast = Forecast(plan.pending(None), Costs(plan, {}, ""))
    name = plan.jobs[0].setting_id
    whole = forecast.remaining_s()
    forecast.completed(TaskKey("g_learn", name, 25), {}, failed=True)
    assert 0 < forecast.remaining_s() < 0.6 * whole
    forecast.completed(TaskKey("shared_policy", name), {}, failed=True)
    assert forecast.remaining_s() == 0


def test_time_that_passes_is_time_that_is_not_left() -> None:
    plan = robots(experiment={"k_values": [25], "n_eval_seeds": 1})
    now = [0.0]
    forecast = Forecast(plan.pending(None), Costs(plan, {}, ""), clock=lambda: now[0])
    key = TaskKey("shared_policy", plan.jobs[0].setting_id)
    takes = Costs(plan, {}, "").seconds(key.kind, key.setting_id, None)
    forecast.submitted(key, 1)
    before = forecast.remaining_s()
    now[0] = takes / 2
    assert forecast.remaining_s() == pytest.approx(before - takes / 2)
    now[0] = 10 * takes
    overdue = forecast.remaining_s()
    assert before - takes < overdue < before - takes / 2


def test_tasks_wait_for_what_they_need_however_many_slots_there_are() -> None:
    plan = robots(experiment={"k_values": [20, 25], "n_eval_seeds": 3})
    costs = Costs(plan, {}, "")
    forecast = Forecast(plan.pending(None), costs)
    forecast.n_slots = 100
    path = [("shared_policy", None), ("g_learn", 25), ("evaluate", 25)]
    takes = [costs.seconds(kind, plan.jobs[0].setting_id, k) for kind, k in path]
    assert forecast.remaining_s() == pytest.approx(sum(takes))
