"""The tables: their columns, with types, units and descriptions, and their keys.

Rows of one table are told apart by its key: writing a row again replaces it. The columns of
a grid are not stored with the rows but added when a table is published, since a
sweep's grid may grow later; their place is right behind ``setting_id``.
"""

from __future__ import annotations

import pyarrow as pa

from distmarl.results.fields import field, table

SETTING = (
    field("sweep", pa.string(), "name of the sweep", "name"),
    field("setting_id", pa.string(), "hash of everything that defines the setting", "identifier"),
)
TRAIN_SEED = field(
    "train_seed",
    pa.int64(),
    "number of the training, from 0 (experiment.n_train_seeds); 0 for what does not depend on it",
    before="0",
)
TRAINED = (*SETTING, TRAIN_SEED)
POINT = (*SETTING, field("k", pa.int64(), "number of local agents that the global agent sees", "agents"))
PAIR = (*POINT, TRAIN_SEED)
N_AGENTS = field("n_agents", pa.int64(), "number of local agents", "agents")
GAMMA = field("gamma", pa.float64(), "discount factor")
S_G = field("s_g", pa.int64(), "global state", "index")
N_ITERATIONS = "sweeps of value iteration"
BOUND = "certified bound of max |V - V*| in the surrogate game"
CONVERGED = "whether the bound reached the convergence threshold"
OF_SOFTMAX = "return over all steps of the local agents' answer to a global agent that sees nobody"
_PER_STEP = pa.list_(pa.int32())
POLICY = (
    field("shape", pa.list_(pa.int64()), "number of global states, local states and local actions", "states"),
    field("probabilities", pa.list_(pa.float64()), "probability of each a_l in each (s_g, s_l), in that order"),
)
ASKED_EFFORT = (
    field(
        "asked_max_enumerated",
        pa.int64(),
        "experiment.welfare_max_enumerated of the search for the best pair; null without one",
        "policies",
    ),
    field(
        "asked_starts", pa.int64(), "experiment.welfare_starts of that search; null where it was left open", "starts"
    ),
)

EVALUATIONS = table(
    "evaluations",
    ("setting_id", "k", "train_seed", "seed"),
    *PAIR,
    field(
        "seed",
        pa.int64(),
        "number of the evaluation seed; the same seed of a training has the same initial states for every k. "
        "dm.open(folder).evaluate(k=k, seed=seed, train_seed=train_seed) plays it again: dm.evaluate(..., "
        "seed=(experiment.seed, seed)) or, for other trainings than the first, (experiment.seed, train_seed, seed)",
    ),
    N_AGENTS,
    GAMMA,
    field("n_rollouts", pa.int64(), "rollouts that the row summarises", "rollouts"),
    field("horizon", pa.int64(), "steps that each return sums over", "steps"),
    field("mean_return", pa.float64(), "mean discounted return", "reward"),
    field("std_return", pa.float64(), "sample standard deviation of the returns (ddof = 1)", "reward"),
    field("min_return", pa.float64(), "smallest discounted return", "reward"),
    field("max_return", pa.float64(), "largest discounted return", "reward"),
    field(
        "mode_accuracy",
        pa.float64(),
        "share of steps at which the global action is a most populated class (local state, where those are seen); null "
        "where there are more or fewer actions than classes",
    ),
    field("returns", pa.list_(pa.float64()), "discounted return of each rollout", "reward"),
    rows_per_chunk=128,
)

ROLLOUTS = table(
    "rollouts",
    ("setting_id", "k", "train_seed", "seed"),
    *PAIR,
    field("seed", pa.int64(), "number of the evaluation seed, whose first rollout this is: the one of returns[0]"),
    N_AGENTS,
    GAMMA,
    field("n_global_actions", pa.int64(), "number of global actions", "actions"),
    field("global_states", _PER_STEP, "global state at each step", "index"),
    field("global_actions", _PER_STEP, "global action at each step", "index"),
    field("populations", pa.list_(_PER_STEP), "number of agents in each local state, at each step", "agents"),
    field(
        "modes",
        pa.list_(_PER_STEP),
        "most populated classes at each step (local states, where those are seen)",
        "index",
    ),
    field("rewards", pa.list_(pa.float64()), "reward of each step; discounted, they sum to the return", "reward"),
    rows_per_chunk=128,
)

EXACT_RETURN = field("exact_return", pa.float64(), "expected discounted return of the pair, without sampling", "reward")
EXACT_BOUND = field("exact_bound", pa.float64(), "certified bound of the error of exact_return", "reward")

EXACT_RETURNS = table(
    "exact_returns",
    ("setting_id", "k", "train_seed"),
    *PAIR,
    N_AGENTS,
    GAMMA,
    field("horizon", pa.int64(), "steps that the return sums over", "steps"),
    EXACT_RETURN,
    EXACT_BOUND,
)

NASH_GAPS = table(
    "nash_gaps",
    ("setting_id", "k", "train_seed", "method", "quantity"),
    *PAIR,
    field("method", pa.string(), "exact, or estimate (by paired rollouts)", "name"),
    field("quantity", pa.string(), "joint_value, surrogate, global_lower, …, as in dm.nash_gap", "name"),
    N_AGENTS,
    field("utility", pa.string(), "what a deviating local agent is after: team or own", "name"),
    field("horizon", pa.int64(), "steps that the returns are over; null for all steps to come", "steps"),
    field("value", pa.float64(), "the number; null where there is none", "reward"),
    field("error", pa.float64(), "certified error of value; for estimates half its 95 % interval", "reward"),
    field("kind", pa.string(), "exact, lower bound, upper bound, estimate, or estimate of either bound", "name"),
    field(
        "of",
        pa.string(),
        "what quantity means here, in words and symbols: whose deviation, against what, in which game, over how long",
        "text",
    ),
    field("reason", pa.string(), "why there is no value; null where there is one", "text"),
    *ASKED_EFFORT,
)

BASELINES = table(
    "baselines",
    ("setting_id", "baseline", "method"),
    *SETTING,
    field("baseline", pa.string(), "random, fixed_action, full_information, no_local_update or blind", "name"),
    field("method", pa.string(), "rollouts or exact", "name"),
    N_AGENTS,
    field("horizon", pa.int64(), "steps that each return sums over", "steps"),
    field("value", pa.float64(), "expected discounted return", "reward"),
    field("error", pa.float64(), "standard error of the rollouts' mean; certified bound of an exact value", "reward"),
    field("n_rollouts", pa.int64(), "rollouts over all evaluation seeds; 0 for an exact value", "rollouts"),
    field("converged", pa.bool_(), "whether G-LEARN, where the baseline needs it, reached its threshold", "boolean"),
)

EVALUATED = (
    field("n_rollouts", pa.int64(), "rollouts over all evaluation seeds; 0 where returns are exact only", "rollouts"),
    field("mean_return", pa.float64(), "mean discounted return; null without rollouts", "reward"),
    field("standard_error", pa.float64(), "standard error of the mean, over rollouts of this pair alone", "reward"),
    field("ci95_low", pa.float64(), "lower end of its 95 % interval (Student's t), over rollouts", "reward"),
    field("ci95_high", pa.float64(), "upper end of its 95 % interval (Student's t), over rollouts", "reward"),
    EXACT_RETURN,
    EXACT_BOUND,
)

LEARNERS = table(
    "learners",
    ("setting_id", "k", "train_seed", "learner", "budget"),
    *PAIR,
    field("learner", pa.string(), "independent_q or subsampled_q", "name"),
    field("budget", pa.int64(), "experiment.baseline_samples: how many samples it might draw", "samples"),
    field(
        "n_samples", pa.int64(), "draws of the next state of one agent, local or global, that it learnt from", "samples"
    ),
    field("visited", pa.float64(), "share of the global states and count vectors in which its global agent ever was"),
    N_AGENTS,
    GAMMA,
    field("horizon", pa.int64(), "steps that each return sums over", "steps"),
    *EVALUATED,
)

POLICIES = table(
    "policies",
    ("setting_id", "k", "train_seed", "policy"),
    *PAIR,
    field("policy", pa.string(), "name of a pair from elsewhere (experiment.policies)", "name"),
    field("function", pa.string(), "what made it, as package.module:function", "name"),
    field("digest", pa.string(), "hash of its policies: another pair of this name is evaluated anew", "identifier"),
    N_AGENTS,
    GAMMA,
    field("horizon", pa.int64(), "steps that each return sums over", "steps"),
    *EVALUATED,
)

BOUNDS = table(
    "bounds",
    ("setting_id", "steps"),
    *SETTING,
    field("steps", pa.string(), "whether returns are over the horizon of the rollouts or over all steps", "name"),
    N_AGENTS,
    GAMMA,
    field("horizon", pa.int64(), "steps that the returns are over; null for all steps to come", "steps"),
    field("value", pa.float64(), "upper bound of what any policies earn, before its error", "reward"),
    field("error", pa.float64(), "certified: no policies earn more than value + error", "reward"),
    field("ceiling", pa.float64(), "value + error", "reward"),
    field("random", pa.float64(), "what uniform actions earn, exactly: where shares of the ceiling begin", "reward"),
    field("m", pa.int64(), "agents of the game whose optimum the bound is", "agents"),
    field("asked_m", pa.int64(), "experiment.bound_m; null where it was left open", "agents"),
    field("method", pa.string(), "joint (all actions of m agents) or prescriptions (and their slack)", "name"),
    field("n_iterations", pa.int64(), N_ITERATIONS, "sweeps"),
)

WELFARE = table(
    "welfare",
    ("setting_id",),
    *SETTING,
    N_AGENTS,
    GAMMA,
    field(
        "value", pa.float64(), "what the best pair found earns over all steps, its global agent seeing all", "reward"
    ),
    field("error", pa.float64(), "certified error of value", "reward"),
    field("reason", pa.string(), "why there is no value; null where there is one", "text"),
    field("source", pa.string(), "what led to it: enumeration, or a start and what went on from there", "text"),
    field("is_exhaustive", pa.bool_(), "whether all deterministic local policies were compared", "boolean"),
    field("n_policies", pa.int64(), "local policies that were compared", "policies"),
    field("n_solved", pa.int64(), "of them, those that no bound passed over", "policies"),
    field("n_starts", pa.int64(), "starts of the search; 0 where it was exhaustive", "starts"),
    *ASKED_EFFORT,
    *POLICY,
)

TRAININGS = table(
    "trainings",
    ("setting_id", "k", "train_seed"),
    *PAIR,
    field("transitions", pa.string(), "how count vectors move in the surrogate game", "name"),
    field("n_count_vectors", pa.int64(), "number C of count vectors of k agents", "count vectors"),
    field("n_iterations", pa.int64(), N_ITERATIONS, "sweeps"),
    field("bound", pa.float64(), BOUND, "reward"),
    field("converged", pa.bool_(), CONVERGED, "boolean"),
    field("method", pa.string(), "how expectations were computed: factored or dense (exact), successors", "name"),
    field(
        "answer",
        pa.string(),
        "where the global policy comes from: surrogate (G-LEARN), averaged or blind; columns above are G-LEARN's",
        "name",
        before="surrogate",
    ),
    field(
        "n_samples",
        pa.int64(),
        "draws of an agent's next state by G-LEARN (sampled); 0 where it used the known tables alone. It knows "
        "rewards and global transitions without any, and the local policy's training is not in it",
        "samples",
    ),
)

ALTERNATIONS = table(
    "alternations",
    ("setting_id", "train_seed", "start", "iteration", "proposal"),
    *TRAINED,
    field(
        "start",
        pa.string(),
        "what the alternation began with: uniform, constant_action 0, …, stay, …",
        "name",
        before="uniform",
    ),
    field("iteration", pa.int64(), "outer iteration, from 0", "iterations"),
    field(
        "proposal",
        pa.string(),
        "what was proposed: pair (both policies), or global and then local; start or ascent, with G-LEARN's answer; "
        "columns about the other are null",
        "name",
    ),
    field("reference_k", pa.int64(), "subsample size of the shared local policy's training", "agents"),
    field(
        "joint_value",
        pa.float64(),
        "return of the proposed pair: mean of the alternation's rollouts, or exact",
        "reward",
    ),
    field("relative_change", pa.float64(), "change against the joint value of the last iteration; null in the first"),
    field("accepted", pa.bool_(), "whether the proposal was kept", "boolean"),
    field(
        "stopped_because",
        pa.string(),
        "converged, cycle, reverted or n_outer_iterations; null while the alternation goes on",
        "name",
    ),
    field("global_n_iterations", pa.int64(), f"G-LEARN: {N_ITERATIONS}", "sweeps"),
    field("global_bound", pa.float64(), f"G-LEARN: {BOUND}", "reward"),
    field("global_converged", pa.bool_(), f"G-LEARN: {CONVERGED}", "boolean"),
    field("local_n_iterations", pa.int64(), f"L-LEARN: {N_ITERATIONS}", "sweeps"),
    field("local_bound", pa.float64(), f"L-LEARN: {BOUND}", "reward"),
    field("local_converged", pa.bool_(), f"L-LEARN: {CONVERGED}", "boolean"),
    field("n_recurrent_classes", pa.int64(), "above 1 the mean field depends on the start", "classes"),
    field("mean_field_period", pa.int64(), "above 1 the mean field is a mean over time", "steps"),
    field("minimum_share", pa.float64(), "share of (s_g, s_l) at which the softmax has its minimum temperature"),
    field("blind_softmax_value", pa.float64(), f"{OF_SOFTMAX}, in its softmax; null for greedy", "reward"),
    field("blind_greedy_value", pa.float64(), f"{OF_SOFTMAX}, greedy; null for greedy", "reward"),
    field("random_value", pa.float64(), "return over all steps of uniform actions; null for greedy", "reward"),
)

LOCAL_POLICIES = table(
    "local_policies",
    ("setting_id", "train_seed", "s_g", "s_l", "a_l"),
    *TRAINED,
    S_G,
    field("s_l", pa.int64(), "local state", "index"),
    field("a_l", pa.int64(), "local action", "index"),
    field("probability", pa.float64(), "probability of the action under the shared local policy"),
    rows_per_chunk=2**12,  # read by setting
)

PROPOSAL = field("proposal", pa.string(), "start, ascent or alternation: how it was found", "name")
CANDIDATES = table(
    "candidates",
    ("setting_id", "train_seed", "start", "proposal"),
    *TRAINED,
    field("start", pa.string(), "what the alternation began with", "name"),
    field("number", pa.int64(), "number of the start, from 0", "index"),
    PROPOSAL,
    *POLICY,
)

CHOICES = table(
    "choices",
    ("setting_id", "train_seed", "task", "k"),
    *TRAINED,
    field("task", pa.string(), "shared_policy, or local_policy for that of a single k", "name"),
    field("k", pa.int64(), "subsample size at which the local policies were compared", "agents"),
    field("start", pa.string(), "what led to the chosen one", "name"),
    PROPOSAL,
    field("answer", pa.string(), "what the global agent answered to it: surrogate, averaged or blind", "name"),
    field(
        "value",
        pa.float64(),
        "what the pair earns over all steps; rollouts leave out the last ones, whose weights sum to less than 0.01 %",
        "reward",
    ),
    field("error", pa.float64(), "certified error of an exact value, standard error of a mean of rollouts", "reward"),
    field("method", pa.string(), "exact or rollouts", "name"),
    field("n_candidates", pa.int64(), "local policies that were compared", "policies"),
    field("n_skipped", pa.int64(), "of them, those that a bound showed to be worse without a look", "policies"),
    *POLICY,
)

GLOBAL_POLICIES = table(
    "global_policies",
    ("setting_id", "k", "train_seed", "s_g"),
    *PAIR,
    S_G,
    field("actions", pa.list_(pa.int32()), "global action for each count vector of k agents, in lexicographic order"),
    rows_per_chunk=8,
)

TASK = (
    SETTING[0],
    field(
        "task",
        pa.string(),
        "kind of task, such as g_learn or evaluate; outer_iteration is a piece of a shared_policy",
        "name",
    ),
    SETTING[1],
    field("k", pa.int64(), "subsample size; null for tasks of a whole setting", "agents"),
    TRAIN_SEED,
    field("seed", pa.int64(), "evaluation seed, or number of a start; null for tasks of no single one"),
)

TIMINGS = table(
    "timings",
    ("task", "setting_id", "k", "train_seed", "seed", "iteration"),
    *TASK,
    field("iteration", pa.int64(), "outer iteration; null but for outer_iteration", "iterations"),
    field("seconds", pa.float64(), "wall-clock time of the task", "s"),
    field("cpu_seconds", pa.float64(), "processor time of the task's process", "s"),
    field("peak_memory_bytes", pa.int64(), "largest resident memory of the process during the task", "bytes"),
    field("hostname", pa.string(), "host that the task ran on", "name"),
    field("node_id", pa.string(), "Ray's id of the node; null for what ran in the sweep's own process", "identifier"),
    field("pid", pa.int64(), "process that the task ran in", "identifier"),
    field("attempt", pa.int64(), "0 for the first try, more after a lost worker; null where Ray does not tell"),
    field("started_at", pa.timestamp("us", tz="UTC"), "when the task started", "UTC"),
    has_grid=False,
)

FAILURES = table(
    "failures",
    ("task", "setting_id", "k", "train_seed", "seed"),
    *TASK,
    field("error", pa.string(), "type and message of the exception", "text"),
    field("traceback", pa.string(), "traceback of the exception", "text"),
    field("arguments", pa.string(), "arguments of the task, in short", "text"),
    field("log_tail", pa.string(), "end of the task's standard output and error; null where it is not known", "text"),
    field("hostname", pa.string(), "host that the task ran on; null if it never started", "name"),
    field("failed_at", pa.timestamp("us", tz="UTC"), "when the task failed", "UTC"),
    has_grid=False,
)

SETTINGS = table(
    "settings",
    ("setting_id",),
    *SETTING,
    field("in_sweep", pa.bool_(), "whether the sweep file that ran last has this setting", "boolean"),
    field("position", pa.int32(), "place among the settings of its sweep file, from 0 on", "1"),
    field("label", pa.string(), "the grid's values in short", "text"),
    field("content", pa.string(), "everything that the id is a hash of", "JSON"),
    field(
        "observation",
        pa.list_(pa.int64()),
        "class of each local state, which is what the global agent sees of it; null where it sees the states",
        "index",
    ),
    field("local_types", pa.list_(pa.string()), "type of agents of each local state; null where there is one", "name"),
)

INTERVAL = "of the 95 % confidence interval (Student's t) of the mean return"
OF_TRAININGS = "of the 95 % confidence interval of trainings_mean: Student's t over the trainings"
PER_TRAINING = pa.list_(pa.float64())

SUMMARY = table(
    "summary",
    ("setting_id", "k"),
    *POINT,
    field("n_train_seeds", pa.int64(), "trainings", "trainings", before="1"),
    field("n_seeds", pa.int64(), "evaluation seeds of each training; the most where they differ", "seeds"),
    field("n_rollouts", pa.int64(), "rollouts of all trainings and seeds", "rollouts"),
    field(
        "mean_return",
        pa.float64(),
        "mean discounted return: over a training's rollouts first, then over trainings; null where there are none",
        "reward",
    ),
    field("standard_error", pa.float64(), "standard error of the mean return of these pairs, over rollouts", "reward"),
    field("ci95_low", pa.float64(), f"lower end {INTERVAL} of these pairs, over rollouts", "reward"),
    field("ci95_high", pa.float64(), f"upper end {INTERVAL} of these pairs, over rollouts", "reward"),
    field("seeds_standard_error", pa.float64(), "the same standard error, over the seeds' means", "reward"),
    field("seeds_ci95_low", pa.float64(), f"lower end {INTERVAL} of these pairs, over the seeds' means", "reward"),
    field("seeds_ci95_high", pa.float64(), f"upper end {INTERVAL} of these pairs, over the seeds' means", "reward"),
    field("std_return", pa.float64(), "standard deviation of a training's seeds' means (ddof = 1 each)", "reward"),
    field("min_return", pa.float64(), "smallest of the seeds' means", "reward"),
    field("max_return", pa.float64(), "largest of the seeds' means", "reward"),
    field("mode_accuracy", pa.float64(), "mean over seeds; null where there are more or fewer actions than classes"),
    EXACT_RETURN,
    EXACT_BOUND,
    field("trainings_mean", pa.float64(), "mean of training_returns: what the method earns", "reward"),
    field("trainings_ci95_low", pa.float64(), f"lower end {OF_TRAININGS}; null for one training", "reward"),
    field("trainings_ci95_high", pa.float64(), f"upper end {OF_TRAININGS}; null for one training", "reward"),
    field("trainings_median", pa.float64(), "median of training_returns", "reward"),
    field("trainings_min", pa.float64(), "smallest of training_returns", "reward"),
    field("trainings_max", pa.float64(), "largest of training_returns", "reward"),
    field("trainings_std", pa.float64(), "sample standard deviation of training_returns (ddof = 1)", "reward"),
    field(
        "between_trainings_std",
        pa.float64(),
        "standard deviation of what trainings earn, without the noise of their evaluation (a variance component)",
        "reward",
    ),
    field(
        "between_seeds_std",
        pa.float64(),
        "standard deviation between evaluation seeds of one training (a variance component); 0 for exact returns",
        "reward",
    ),
    field(
        "between_trainings_share",
        pa.float64(),
        "share of the variance of a training's evaluation seed that is between trainings",
    ),
    field("between_seeds_share", pa.float64(), "the rest of it, which is between evaluation seeds"),
    field("train_seeds", pa.list_(pa.int64()), "numbers of the trainings"),
    field(
        "training_returns",
        PER_TRAINING,
        "what each of them earns: its exact return where it is known, else the mean of its rollouts",
        "reward",
    ),
    field("training_differences", PER_TRAINING, "of each training: difference; null where it has none", "reward"),
    field("training_mode_accuracies", PER_TRAINING, "of each training: mode accuracy; null where it has none"),
    field(
        "is_best",
        pa.bool_(),
        "whether no other k has a larger exact return or, where none is known, mean",
        "boolean",
    ),
    field("previous_k", pa.int64(), "the next smaller k of the setting; null for the smallest", "agents"),
    field("n_pairs", pa.int64(), "rollouts that both k have of the same trainings and evaluation seeds", "pairs"),
    field(
        "difference",
        pa.float64(),
        "mean return less that of previous_k, over the pairs of a training, then over trainings; of the exact returns "
        "where both k have them, but over the pairs of a single training that has rollouts",
        "reward",
    ),
    field(
        "difference_standard_error",
        pa.float64(),
        "standard error of the difference: over trainings or, of a single one, over its pairs; null without these",
        "reward",
    ),
    field("difference_ci95_low", pa.float64(), "lower end of the difference's 95 % interval (Student's t)", "reward"),
    field("difference_ci95_high", pa.float64(), "upper end of the difference's 95 % interval (Student's t)", "reward"),
)

TABLES = {
    table.name: table
    for table in (
        EVALUATIONS,
        ROLLOUTS,
        EXACT_RETURNS,
        NASH_GAPS,
        BASELINES,
        LEARNERS,
        POLICIES,
        BOUNDS,
        WELFARE,
        TRAININGS,
        ALTERNATIONS,
        CANDIDATES,
        CHOICES,
        LOCAL_POLICIES,
        GLOBAL_POLICIES,
        TIMINGS,
        FAILURES,
        SETTINGS,
        SUMMARY,
    )
}
