"""The tables: their columns, with types, units and descriptions, and their keys.

Rows of one table are told apart by its key: writing a row again replaces it. The columns of
a grid are not stored with the rows but added when a table is published, since a
sweep's grid may grow later; their place is right behind ``setting_id``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = "4"
VERSION_KEY = b"distmarl.schema_version"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a results folder.

    Attributes
    ----------
    name : str
        Name of its folder.
    schema : pyarrow.Schema
        Columns, with ``unit`` and ``description`` in each field's metadata.
    key : tuple of str
        Columns that tell rows apart; rows are sorted by them.
    has_grid : bool
        Whether the grid's columns are added when it is published.
    rows_per_chunk : int
        Rows that are merged and written at a time; few where rows are long.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...]
    has_grid: bool = True
    rows_per_chunk: int = 2**16


def _field(name: str, kind: pa.DataType, description: str, unit: str = "1") -> pa.Field:
    return pa.field(name, kind, metadata={"description": description, "unit": unit})


SWEEP = _field("sweep", pa.string(), "name of the sweep", "name")
SETTING_ID = _field("setting_id", pa.string(), "hash of everything that defines the setting", "identifier")
K = _field("k", pa.int64(), "number of local agents that the global agent sees", "agents")
S_G = _field("s_g", pa.int64(), "global state", "index")
N_ITERATIONS = "sweeps of value iteration"
BOUND = "certified bound of max |V - V*| in the surrogate game"
CONVERGED = "whether the bound reached the convergence threshold"


def _table(name: str, key: tuple[str, ...], *fields: pa.Field, **options: Any) -> Table:
    return Table(name, pa.schema(fields, metadata={VERSION_KEY: SCHEMA_VERSION}), key, **options)


EVALUATIONS = _table(
    "evaluations",
    ("setting_id", "k", "seed"),
    SWEEP,
    SETTING_ID,
    K,
    _field("seed", pa.int64(), "number of the evaluation seed; the same seed has the same initial states for every k"),
    _field("n_agents", pa.int64(), "number of local agents", "agents"),
    _field("gamma", pa.float64(), "discount factor"),
    _field("n_rollouts", pa.int64(), "rollouts that the row summarises", "rollouts"),
    _field("horizon", pa.int64(), "steps that each return sums over", "steps"),
    _field("mean_return", pa.float64(), "mean discounted return", "reward"),
    _field("std_return", pa.float64(), "sample standard deviation of the returns (ddof = 1)", "reward"),
    _field("min_return", pa.float64(), "smallest discounted return", "reward"),
    _field("max_return", pa.float64(), "largest discounted return", "reward"),
    _field(
        "mode_accuracy",
        pa.float64(),
        "share of steps at which the global action is a most populated local state; null where A_g differs from L",
    ),
    _field("returns", pa.list_(pa.float64()), "discounted return of each rollout", "reward"),
    rows_per_chunk=128,
)


_PER_STEP = pa.list_(pa.int32())

ROLLOUTS = _table(
    "rollouts",
    ("setting_id", "k", "seed"),
    SWEEP,
    SETTING_ID,
    K,
    _field("seed", pa.int64(), "number of the evaluation seed, whose first rollout this is: the one of returns[0]"),
    _field("n_agents", pa.int64(), "number of local agents", "agents"),
    _field("gamma", pa.float64(), "discount factor"),
    _field("n_global_actions", pa.int64(), "number of global actions", "actions"),
    _field("global_states", _PER_STEP, "global state at each step", "index"),
    _field("global_actions", _PER_STEP, "global action at each step", "index"),
    _field("populations", pa.list_(_PER_STEP), "number of agents in each local state, at each step", "agents"),
    _field("modes", pa.list_(_PER_STEP), "most populated local states at each step; several where they tie", "index"),
    _field("rewards", pa.list_(pa.float64()), "reward of each step; discounted, they sum to the return", "reward"),
    rows_per_chunk=128,
)

EXACT_RETURN = _field(
    "exact_return", pa.float64(), "expected discounted return of the pair, without sampling", "reward"
)
EXACT_BOUND = _field("exact_bound", pa.float64(), "certified bound of the error of exact_return", "reward")

EXACT_RETURNS = _table(
    "exact_returns",
    ("setting_id", "k"),
    SWEEP,
    SETTING_ID,
    K,
    _field("n_agents", pa.int64(), "number of local agents", "agents"),
    _field("gamma", pa.float64(), "discount factor"),
    _field("horizon", pa.int64(), "steps that the return sums over", "steps"),
    EXACT_RETURN,
    EXACT_BOUND,
)

NASH_GAPS = _table(
    "nash_gaps",
    ("setting_id", "k", "method", "quantity"),
    SWEEP,
    SETTING_ID,
    K,
    _field("method", pa.string(), "exact, or estimate (by paired rollouts)", "name"),
    _field("quantity", pa.string(), "joint_value, surrogate, global_lower, …, as in dm.nash_gap", "name"),
    _field("n_agents", pa.int64(), "number of local agents", "agents"),
    _field("utility", pa.string(), "what a deviating local agent is after: team or own", "name"),
    _field("horizon", pa.int64(), "steps that the returns are over; null for all steps to come", "steps"),
    _field("value", pa.float64(), "the number; null where there is none", "reward"),
    _field("error", pa.float64(), "certified error of value; for estimates half its 95 % interval", "reward"),
    _field("kind", pa.string(), "exact, lower bound, upper bound, estimate or estimate of a lower bound", "name"),
    _field("of", pa.string(), "what the number is the value of", "text"),
    _field("reason", pa.string(), "why there is no value; null where there is one", "text"),
)

BASELINES = _table(
    "baselines",
    ("setting_id", "baseline", "method"),
    SWEEP,
    SETTING_ID,
    _field("baseline", pa.string(), "random, fixed_action, full_information or no_local_update", "name"),
    _field("method", pa.string(), "rollouts or exact", "name"),
    _field("n_agents", pa.int64(), "number of local agents", "agents"),
    _field("horizon", pa.int64(), "steps that each return sums over", "steps"),
    _field("value", pa.float64(), "expected discounted return", "reward"),
    _field("error", pa.float64(), "standard error of the rollouts' mean; certified bound of an exact value", "reward"),
    _field("n_rollouts", pa.int64(), "rollouts over all evaluation seeds; 0 for an exact value", "rollouts"),
    _field("converged", pa.bool_(), "whether G-LEARN, where the baseline needs it, reached its threshold", "boolean"),
)

TRAININGS = _table(
    "trainings",
    ("setting_id", "k"),
    SWEEP,
    SETTING_ID,
    K,
    _field("transitions", pa.string(), "how count vectors move in the surrogate game", "name"),
    _field("n_count_vectors", pa.int64(), "number C of count vectors of k agents", "count vectors"),
    _field("n_iterations", pa.int64(), N_ITERATIONS, "sweeps"),
    _field("bound", pa.float64(), BOUND, "reward"),
    _field("converged", pa.bool_(), CONVERGED, "boolean"),
    _field("method", pa.string(), "how expectations were computed: factored or dense (exact), successors", "name"),
)

ALTERNATIONS = _table(
    "alternations",
    ("setting_id", "iteration", "proposal"),
    SWEEP,
    SETTING_ID,
    _field("iteration", pa.int64(), "outer iteration, from 0", "iterations"),
    _field(
        "proposal",
        pa.string(),
        "what was proposed: pair (both policies), or global and then local; columns about the other are null",
        "name",
    ),
    _field("reference_k", pa.int64(), "subsample size of the shared local policy's training", "agents"),
    _field(
        "joint_value",
        pa.float64(),
        "return of the proposed pair: mean of the alternation's rollouts, or exact",
        "reward",
    ),
    _field("relative_change", pa.float64(), "change against the joint value of the last iteration; null in the first"),
    _field("accepted", pa.bool_(), "whether the proposal was kept", "boolean"),
    _field(
        "stopped_because",
        pa.string(),
        "converged, cycle, reverted or n_outer_iterations; null while the alternation goes on",
        "name",
    ),
    _field("global_n_iterations", pa.int64(), f"G-LEARN: {N_ITERATIONS}", "sweeps"),
    _field("global_bound", pa.float64(), f"G-LEARN: {BOUND}", "reward"),
    _field("global_converged", pa.bool_(), f"G-LEARN: {CONVERGED}", "boolean"),
    _field("local_n_iterations", pa.int64(), f"L-LEARN: {N_ITERATIONS}", "sweeps"),
    _field("local_bound", pa.float64(), f"L-LEARN: {BOUND}", "reward"),
    _field("local_converged", pa.bool_(), f"L-LEARN: {CONVERGED}", "boolean"),
    _field("n_recurrent_classes", pa.int64(), "above 1 the mean field depends on the start", "classes"),
    _field("mean_field_period", pa.int64(), "above 1 the mean field is a mean over time", "steps"),
)

LOCAL_POLICIES = _table(
    "local_policies",
    ("setting_id", "s_g", "s_l", "a_l"),
    SWEEP,
    SETTING_ID,
    S_G,
    _field("s_l", pa.int64(), "local state", "index"),
    _field("a_l", pa.int64(), "local action", "index"),
    _field("probability", pa.float64(), "probability of the action under the shared local policy"),
)

GLOBAL_POLICIES = _table(
    "global_policies",
    ("setting_id", "k", "s_g"),
    SWEEP,
    SETTING_ID,
    K,
    S_G,
    _field("actions", pa.list_(pa.int32()), "global action for each count vector of k agents, in lexicographic order"),
    rows_per_chunk=8,
)

TASK_KEY = (
    _field(
        "task",
        pa.string(),
        "shared_policy (outer_iteration: one of its), g_learn, baselines, nash_gap, exact_return or evaluate",
        "name",
    ),
    SETTING_ID,
    _field("k", pa.int64(), "subsample size; null for the shared policy as a whole", "agents"),
    _field("seed", pa.int64(), "evaluation seed; null for trainings"),
)

TIMINGS = _table(
    "timings",
    ("task", "setting_id", "k", "seed", "iteration"),
    SWEEP,
    *TASK_KEY,
    _field("iteration", pa.int64(), "outer iteration; null but for outer_iteration", "iterations"),
    _field("seconds", pa.float64(), "wall-clock time of the task", "s"),
    _field("cpu_seconds", pa.float64(), "processor time of the task's process", "s"),
    _field("peak_memory_bytes", pa.int64(), "largest resident memory of the process during the task", "bytes"),
    _field("hostname", pa.string(), "host that the task ran on", "name"),
    _field("node_id", pa.string(), "Ray's id of the node; null without Ray", "identifier"),
    _field("pid", pa.int64(), "process that the task ran in", "identifier"),
    _field("attempt", pa.int64(), "0 for the first try, more after a lost worker; null where Ray does not tell"),
    _field("started_at", pa.timestamp("us", tz="UTC"), "when the task started", "UTC"),
    has_grid=False,
)

FAILURES = _table(
    "failures",
    ("task", "setting_id", "k", "seed"),
    SWEEP,
    *TASK_KEY,
    _field("error", pa.string(), "type and message of the exception", "text"),
    _field("traceback", pa.string(), "traceback of the exception", "text"),
    _field("arguments", pa.string(), "arguments of the task, in short", "text"),
    _field("log_tail", pa.string(), "end of the task's standard output and error; null where it is not known", "text"),
    _field("hostname", pa.string(), "host that the task ran on; null if it never started", "name"),
    _field("failed_at", pa.timestamp("us", tz="UTC"), "when the task failed", "UTC"),
    has_grid=False,
)

SETTINGS = _table(
    "settings",
    ("setting_id",),
    SWEEP,
    SETTING_ID,
    _field("in_sweep", pa.bool_(), "whether the sweep file that ran last has this setting", "boolean"),
    _field("position", pa.int32(), "place among the settings of its sweep file, from 0 on", "1"),
    _field("label", pa.string(), "the grid's values in short", "text"),
    _field("content", pa.string(), "everything that the id is a hash of", "JSON"),
)

INTERVAL = "of the 95 % confidence interval (Student's t) of the mean return"

SUMMARY = _table(
    "summary",
    ("setting_id", "k"),
    SWEEP,
    SETTING_ID,
    K,
    _field("n_seeds", pa.int64(), "evaluation seeds", "seeds"),
    _field("n_rollouts", pa.int64(), "rollouts of all seeds", "rollouts"),
    _field("mean_return", pa.float64(), "mean discounted return of all rollouts; null where there are none", "reward"),
    _field("standard_error", pa.float64(), "standard error of the mean return, over all rollouts", "reward"),
    _field("ci95_low", pa.float64(), f"lower end {INTERVAL}, over all rollouts", "reward"),
    _field("ci95_high", pa.float64(), f"upper end {INTERVAL}, over all rollouts", "reward"),
    _field("seeds_standard_error", pa.float64(), "standard error of the mean return, over the seeds' means", "reward"),
    _field("seeds_ci95_low", pa.float64(), f"lower end {INTERVAL}, over the seeds' means", "reward"),
    _field("seeds_ci95_high", pa.float64(), f"upper end {INTERVAL}, over the seeds' means", "reward"),
    _field("std_return", pa.float64(), "sample standard deviation of the seeds' means (ddof = 1)", "reward"),
    _field("min_return", pa.float64(), "smallest of the seeds' means", "reward"),
    _field("max_return", pa.float64(), "largest of the seeds' means", "reward"),
    _field("mode_accuracy", pa.float64(), "mean over seeds; null where A_g differs from L"),
    EXACT_RETURN,
    EXACT_BOUND,
    _field(
        "is_best",
        pa.bool_(),
        "whether no other k has a larger exact return or, where none is known, mean",
        "boolean",
    ),
    _field("previous_k", pa.int64(), "the next smaller k of the setting; null for the smallest", "agents"),
    _field("n_pairs", pa.int64(), "rollouts that both k have of the same evaluation seeds", "pairs"),
    _field("difference", pa.float64(), "mean return less that of previous_k, over the pairs", "reward"),
    _field("difference_standard_error", pa.float64(), "standard error of the difference, over the pairs", "reward"),
    _field("difference_ci95_low", pa.float64(), "lower end of the difference's 95 % interval (Student's t)", "reward"),
    _field("difference_ci95_high", pa.float64(), "upper end of the difference's 95 % interval (Student's t)", "reward"),
)

TABLES = {
    table.name: table
    for table in (
        EVALUATIONS,
        ROLLOUTS,
        EXACT_RETURNS,
        NASH_GAPS,
        BASELINES,
        TRAININGS,
        ALTERNATIONS,
        LOCAL_POLICIES,
        GLOBAL_POLICIES,
        TIMINGS,
        FAILURES,
        SETTINGS,
        SUMMARY,
    )
}
