"""How a sweep is told of while it runs: drawn in a terminal, line by line in a log."""

from __future__ import annotations

import io
import itertools
import re
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from rich.console import Console

from distmarl.study.kinds.kind import TaskKey
from distmarl.study.plan import Plan
from distmarl.sweep.estimates.costs import Costs
from distmarl.sweep.estimates.forecast import Forecast
from distmarl.sweep.executors.execution import Outcome
from distmarl.sweep.executors.failures import Failure
from distmarl.sweep.progress import lines as progress_module
from distmarl.sweep.progress.lines import LineProgress, Progress
from distmarl.sweep.progress.live import LiveProgress
from distmarl.sweep.progress.tally import Tally
from distmarl.sweep.progress.watch import Watch, resident_memory
from tests.sweep.simulated import outcome_of
from tests.sweep.sweeps import changed, plan_of

CONTROL = re.compile(r"\x1b|\r")
PLAIN = {"name": "robots", "experiment": {"n_eval_seeds": 40}}
GRID = {
    **PLAIN,
    "grid": {"environment.n_agents": [30, 100], "global_agent.convergence_threshold": [1e-6, 1e-4]},
}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def watch_of(plan: Plan, clock: Clock) -> Watch:
    forecast = Forecast(plan.pending(None), Costs(plan, {}, ""), clock=clock)
    return Watch(forecast, {job.setting_id: job.setting.label for job in plan.jobs}, clock)


def failure_of(error: str) -> Outcome:
    when = outcome_of(TaskKey("g_learn", "", 1), 1.0).timing
    return Outcome({}, Failure(error, "", "", None, None, when["started_at"]), when)


def evaluated(key: TaskKey, mean_return: float) -> Outcome:
    timing = outcome_of(key, 0.1).timing
    return Outcome({"evaluations": [{"mean_return": mean_return}]}, None, timing)


def drive(progress: Progress, plan: Plan, clock: Clock, n_tasks: int, *, fails: bool = False) -> Tally:
    """Run the shared policies, and then so many trainings and evaluations, one each 0.1 seconds."""
    tally = Tally(Counter(plan.n_tasks))
    progress.start(tally, "a local Ray: 2 nodes, 4 tasks at once")
    keys = [TaskKey("shared_policy", job.setting_id) for job in plan.jobs]
    keys += [TaskKey("g_learn", plan.jobs[0].setting_id, k) for k in (25, 24)]
    keys += [TaskKey("evaluate", plan.jobs[0].setting_id, 25, seed) for seed in range(n_tasks)]
    for key in keys:
        progress.submitted(key, 1)
        progress.look(4, 2)
        clock.now += 0.1
        tally.done[key.kind] += 1
        outcome = evaluated(key, 102.5) if key.kind == "evaluate" else outcome_of(key, 0.1)
        progress.completed(key, outcome, tally)
    if fails:
        tally.failed["g_learn"] += 1
        progress.completed(TaskKey("g_learn", plan.jobs[0].setting_id, 23), failure_of("ValueError: [red]no[/]"), tally)
    for k in (22, 21, 20, 19, 18):
        progress.submitted(TaskKey("g_learn", plan.jobs[0].setting_id, k), 1)
    progress.look(4, 2)
    return tally


def drawn(mapping: dict[str, Any], width: int, n_tasks: int = 10, *, fails: bool = False) -> list[str]:
    """Return the lines of the picture of a sweep in the middle of its work."""
    clock = Clock()
    plan = plan_of(mapping)
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None, legacy_windows=False)
    live = LiveProgress(console, watch_of(plan, clock))
    drive(live, plan, clock, n_tasks, fails=fails)
    live._live.stop()
    sheet = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    sheet.print(live)
    return [line.rstrip() for line in sheet.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [120, 80, 60, 40])
@pytest.mark.parametrize("mapping", [PLAIN, GRID], ids=["plain", "grid"])
@pytest.mark.parametrize("fails", [False, True])
def test_every_line_fits_and_no_number_is_cut(width: int, mapping: dict[str, Any], fails: bool) -> None:
    lines = drawn(mapping, width, fails=fails)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    n_settings = 4 if mapping is GRID else 1
    assert len(lines) >= 6
    for phase, count in (
        ("shared local policies", f"{n_settings}/{n_settings}"),
        ("global policies", f"2/{25 * n_settings}"),
        ("evaluations", f"10/{1000 * n_settings:,}"),
    ):
        (line,) = [line for line in lines if line.startswith(phase)]
        assert re.search(rf" {count}\b", line)
        assert (" 1 failed" in line) is (fails and phase == "global policies")
    assert re.search(r"\b[12] s gone", text)
    assert re.search(r"about \d+ (s|min \d+ s) left, until", text)
    assert "4 workers on 2 nodes" in text
    assert "k=25 seed=9: return 102.50" in text
    assert f"driver {resident_memory()[:1]}" in text


def test_wide_terminals_have_bars_and_the_names_of_what_runs() -> None:
    assert any("━" in line and "k=22; k=21" in line for line in drawn(PLAIN, 80))
    assert not any("━" in line for line in drawn(PLAIN, 30))


def test_what_waits_in_line_is_not_said_to_run() -> None:
    (line,) = [line for line in drawn(PLAIN, 200) if line.startswith("global policies")]
    assert line.endswith("k=22; k=21; k=20; k=19")


def test_the_last_result_is_told_with_its_setting() -> None:
    (line,) = [line for line in drawn(GRID, 120) if line.startswith("last ")]
    assert line == "last n_agents=30, convergence_threshold=1e-06 · k=25 seed=9: return 102.50"


def logged(n_tasks: int, *, fails: bool = False) -> list[str]:
    clock, stream = Clock(), io.StringIO()
    plan = plan_of(PLAIN)
    console = Console(file=stream, soft_wrap=True, highlight=False)
    with LineProgress(console, watch_of(plan, clock)) as progress:
        drive(progress, plan, clock, n_tasks, fails=fails)
    assert not CONTROL.search(stream.getvalue())
    return stream.getvalue().splitlines()


def test_a_log_has_few_lines_and_they_go_on_from_each_other() -> None:
    head, *lines = logged(400)
    assert head == "1,026 tasks, on a local Ray: 2 nodes, 4 tasks at once"
    times = [float(line.partition(" s:")[0]) for line in lines]
    gaps = [after - before for before, after in itertools.pairwise(times[:-1])]
    assert min(gaps) >= progress_module.LINE_EVERY_S
    done = [int(re.search(r"evaluations ([\d,]+)/1,000", line)[1]) for line in lines]
    assert done == sorted(done)
    assert done[-1] == 400
    assert "left, until" in lines[0]
    assert lines[-1].endswith("evaluations 400/1,000")


def test_lines_are_rarer_in_long_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    n_lines = len(logged(400))
    monkeypatch.setattr(progress_module, "LINE_SHARE", 0.5)
    assert len(logged(400)) < n_lines


def test_a_line_that_says_nothing_new_is_not_written() -> None:
    clock, stream = Clock(), io.StringIO()
    plan = plan_of(PLAIN)
    progress = LineProgress(Console(file=stream, soft_wrap=True), watch_of(plan, clock))
    tally = drive(progress, plan, clock, 60)
    clock.now += 5.0
    progress.look(4, 2)
    n_lines = stream.getvalue().count("\n")
    for _ in range(100):
        clock.now += 60.0
        progress.look(4, 2)
    overdue = stream.getvalue().splitlines()[n_lines:]
    assert all("; overdue: global policy " in line for line in overdue)  # which is news, ever more rarely
    times = [float(line.partition(" s:")[0]) for line in overdue]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[-1] > 3 * gaps[0]
    n_lines += len(overdue)
    tally.done["g_learn"] += 1
    clock.now += 3600.0
    progress.look(4, 2)
    assert stream.getvalue().count("\n") == n_lines + 1
    assert "global policies 3/25" in stream.getvalue().splitlines()[-1]


def test_failures_are_told_at_once_and_not_without_end() -> None:
    lines = logged(1, fails=True)
    assert any(re.fullmatch(r"failed: g_learn-\w+-k23: ValueError: \[red\]no\[/\]", line) for line in lines)
    assert "1 failed" in lines[-1]
    clock, stream = Clock(), io.StringIO()
    plan = plan_of(PLAIN)
    progress = LineProgress(Console(file=stream), watch_of(plan, clock))
    tally = Tally(Counter(plan.n_tasks))
    for k in range(1, 26):
        tally.failed["g_learn"] += 1
        progress.completed(TaskKey("g_learn", plan.jobs[0].setting_id, k), failure_of("no"), tally)
    assert stream.getvalue().count("failed: ") == progress_module.MAX_FAILURES_TOLD


def test_a_sweep_with_nothing_left_to_do_has_one_line() -> None:
    clock, stream = Clock(), io.StringIO()
    plan = plan_of(PLAIN)
    with LineProgress(Console(file=stream, width=200), watch_of(plan, clock)) as progress:
        tally = Tally(Counter(plan.n_tasks), Counter(plan.n_tasks), n_done_before=1026)
        progress.start(tally, "this process")
    assert stream.getvalue() == "1,026 tasks, all of them done before\n"


def test_the_end_is_told_with_its_day_when_it_is_far() -> None:
    clock = Clock()
    plan = plan_of(changed(PLAIN, evaluation={"horizon": 10**8}))
    watch = watch_of(plan, clock)
    watch.look(1, 1)
    assert re.search(r"about \d+ d \d+ h left, until \w{3} \d\d \w{3} \d\d:\d\d", watch.time_left)


def test_the_end_is_told_by_the_clock_that_the_wall_will_show(monkeypatch: pytest.MonkeyPatch) -> None:
    class Saturday(datetime):
        @classmethod
        def now(cls, _: Any = None) -> Saturday:
            return cls(2026, 10, 24, 12, 0, tzinfo=timezone.utc)

    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")  # summer time ends that night
    time.tzset()
    monkeypatch.setattr("distmarl.sweep.progress.watch.datetime", Saturday)
    watch = watch_of(plan_of(PLAIN), Clock())
    watch._end_at = watch._clock() + 86400
    left = watch.time_left
    monkeypatch.undo()
    time.tzset()
    assert left == "about 1 d 0 h left, until Sun 25 Oct 13:00"


def test_a_failure_in_a_terminal_is_folded_between_words() -> None:
    clock = Clock()
    plan = plan_of(PLAIN)
    console = Console(file=io.StringIO(), width=40, force_terminal=True, color_system=None, soft_wrap=True)
    live = LiveProgress(console, watch_of(plan, clock))
    tally = Tally(Counter(plan.n_tasks), failed=Counter({"g_learn": 1}))
    live.completed(TaskKey("g_learn", "a", 3), failure_of("ValueError: too many agents for so few states"), tally)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    assert "ValueError: too many agents" in "".join(lines)


def hang(clock: Clock, watch: Watch, key: TaskKey, seconds: float) -> None:
    """Submit a task that does not end, and look on for some time."""
    watch.start(Tally(Counter()))
    watch.submitted(key, 1)
    for _ in range(int(seconds)):
        watch.look(4, 2)
        clock.now += 1


@pytest.mark.parametrize("kind", ["g_learn", "evaluate"])
def test_a_task_that_takes_far_too_long_is_named_with_since_when(kind: str) -> None:
    plan, clock = plan_of(GRID), Clock()
    watch = watch_of(plan, clock)
    job = plan.jobs[0]
    key = TaskKey(kind, job.setting_id, 3, 0 if kind == "evaluate" else None)
    hang(clock, watch, key, 5)
    assert watch.overdue == ""
    assert watch.time_left
    hang(clock, watch, key, 3600)
    numbers = "evaluation k=3 seed=0" if kind == "evaluate" else "global policy k=3"
    assert watch.overdue.startswith(f"overdue: {numbers} ({job.setting.label}), runs since ")
    found = re.search(r"since ([0-9]+):([0-9]+):", watch.overdue)
    assert found is not None
    since = (datetime.now(timezone.utc) - timedelta(hours=1)).astimezone()
    told = timedelta(hours=int(found[1]), minutes=int(found[2]))
    assert (timedelta(hours=since.hour, minutes=since.minute) - told) % timedelta(days=1) <= timedelta(minutes=2)
    assert "(1 h 0 min), expected " in watch.overdue
    watch.completed(key, outcome_of(key, 3600.0))
    assert watch.overdue == ""


def test_no_end_is_foretold_while_a_task_has_taken_longer_than_all_that_is_left() -> None:
    plan, clock = plan_of({"name": "robots", "experiment": {"k_values": [1], "n_eval_seeds": 1}}), Clock()
    watch = watch_of(plan, clock)
    hang(clock, watch, TaskKey("shared_policy", plan.jobs[0].setting_id), 3600)
    assert watch.overdue
    assert watch.time_left == ""


def test_a_line_is_written_again_while_a_task_is_overdue() -> None:
    plan, clock = plan_of(PLAIN), Clock()
    stream = io.StringIO()
    progress = LineProgress(Console(file=stream, width=300), watch_of(plan, clock))
    progress.start(Tally(Counter(plan.n_tasks)), "a local Ray")
    progress.submitted(TaskKey("shared_policy", plan.jobs[0].setting_id), 1)
    for _ in range(3600):
        progress.look(4, 2)
        clock.now += 1
    lines = [line for line in stream.getvalue().splitlines() if "overdue: shared local policy, runs since" in line]
    assert 10 < len(lines) < 100
    assert not any("about 1 s left" in line for line in lines)


def test_what_is_overdue_is_drawn() -> None:
    plan, clock = plan_of(PLAIN), Clock()
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system=None, legacy_windows=False)
    watch = watch_of(plan, clock)
    live = LiveProgress(console, watch)
    hang(clock, watch, TaskKey("shared_policy", plan.jobs[0].setting_id), 3600)
    console.print(live)
    assert "overdue: shared local policy, runs since" in stream.getvalue()
