"""The sections of a sweep file, with every key's type, range and default, each written once.

They are plain data: a file is checked against them when it is read (:mod:`distmarl.config.checking`), which also
refuses what is not finite or of another type. The JSON schema and the list of all keys are made from them, and the
functions of the notebook API take their defaults from the classes, which is why these have no slots.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Lt, MinLen

from distmarl.model.checks import LARGEST_INTEGER, plain


@dataclass(frozen=True, slots=True)
class NameIn:
    """Annotates a key whose values are the names in a registry of a room above, which the config looks up."""

    registry: str


@dataclass(frozen=True, slots=True)
class Matches:
    """Annotates a text that must match a regular expression."""

    pattern: str


TransitionKind: TypeAlias = Annotated[str, NameIn("transitions")]
EvaluationMethod: TypeAlias = Literal["rollouts", "exact", "both"]
NashGapMethod: TypeAlias = Literal["off", "estimate", "exact"]
LevelName: TypeAlias = Literal["random", "fixed_action", "full_information", "no_local_update", "blind"]
LearnerName: TypeAlias = Literal["independent_q", "subsampled_q"]
BaselineName: TypeAlias = Literal[LevelName, LearnerName]
BoundKind: TypeAlias = Literal["off", "exact"]
LocalPolicyKind: TypeAlias = Literal["softmax", "greedy"]
ObservationKind: TypeAlias = Literal["outside", "included"]
UpdateKind: TypeAlias = Literal["pair", "each"]
AnswerOption: TypeAlias = Literal["surrogate", "best"]
TemperatureUnit: TypeAlias = Literal["reward", "range"]
LocalChoice: TypeAlias = Literal["shared", "per_k"]
StartKind: TypeAlias = Literal["uniform", "constant_action", "stay", "blind"]
JointValueKind: TypeAlias = Literal["rollouts", "exact"]
RewardKind: TypeAlias = Literal["sampled", "expected"]

# What no array and no table can hold is refused; so are starts of which nobody could keep track.
Count = Annotated[int, Ge(1), Le(LARGEST_INTEGER)]
Natural = Annotated[int, Ge(0)]
MAX_RANDOM_STARTS = 10_000
Positive = Annotated[float, Gt(0)]
Discount = Annotated[float, Ge(0), Lt(1)]
Seconds = Annotated[float, Gt(0), Le(1e7)]
NonNegative = Annotated[float, Ge(0)]

# A name is a folder's, too.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
DEFAULT_ENVIRONMENT = "robots"
# Where neither k_range nor k_values is given.
DEFAULT_K_RANGE = (1, 25)


class _Section:
    """Keys whose numbers are Python's: whoever builds a section in Python may give numpy's, of any size."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, plain(value))


@dataclass(frozen=True, kw_only=True)
class GlobalAgent(_Section):
    """G-LEARN: the best global policy against a fixed local policy.

    Attributes
    ----------
    transitions : str
        How count vectors move; ``exact`` needs no draws, ``rounded`` is what the published code does.
    n_mc_samples : int
        Draws per global state and count vector (``sampled`` only).
    max_vi_iterations : int
        Cap on the sweeps of value iteration.
    convergence_threshold : float
        Certified error of the value at which value iteration stops, in units of return. Exact returns and Nash
        gaps of a sweep are certified to it, too.
    answer : {"surrogate", "best"}
        What answers the local policy at each k: G-LEARN's policy, which takes the agents seen for all there are, or
        the best of it, of averages over what is not seen, and of policies that ignore what is seen.
    """

    transitions: TransitionKind = "sampled"
    n_mc_samples: Count = 30
    max_vi_iterations: Count = 1000
    convergence_threshold: Positive = 1e-6
    answer: AnswerOption = "surrogate"


@dataclass(frozen=True, kw_only=True)
class LocalAgent(_Section):
    """L-LEARN: a local agent's best response to a fixed global policy.

    Attributes
    ----------
    policy : {"softmax", "greedy"}
        What is made of Q: a softmax, or the best action (of equally good ones, the lowest number).
    observation : {"outside", "included"}
        Whether a local agent takes into account that it may itself be among the k agents seen (probability k/n).
    max_vi_iterations : int
        Cap on the sweeps of value iteration.
    convergence_threshold : float
        Certified error of the value at which value iteration stops, in units of return.
    softmax_temperature_scale, softmax_temperature_min : float
        The temperature at (s_g, s_l) is ``max(min, range of Q / scale)``, where the range is the largest of the
        values Q(s_g, s_l, ·) less the smallest (``softmax`` only).
    softmax_temperature_unit : {"reward", "range"}
        What ``softmax_temperature_min`` is in units of: of reward as it is, or for local rewards that span as much as
        those of robots do (10.13), and in proportion for others. With rewards about 1, a minimum of 0.3 makes a
        softmax that hardly prefers anything.
    """

    policy: LocalPolicyKind = "softmax"
    observation: ObservationKind = "outside"
    max_vi_iterations: Count = 1000
    convergence_threshold: Positive = 1e-6
    softmax_temperature_scale: Positive = 3.0
    softmax_temperature_min: Positive = 0.3
    softmax_temperature_unit: TemperatureUnit = "reward"


@dataclass(frozen=True, kw_only=True)
class Alternating(_Section):
    """The alternation of best responses.

    Attributes
    ----------
    update : {"pair", "each"}
        What is kept or rejected: both best responses together, or each by itself, as in the paper.
    joint_value : {"rollouts", "exact"}
        How the worth of a proposed pair is measured: as the mean return of rollouts, or as the exact return.
    n_outer_iterations : int
        Rounds of a global and a local best response, at most.
    convergence_rtol : float
        Relative change of the joint value below which the alternation stops, and
        relative loss above which a proposal is rejected.
    starts : tuple of {"uniform", "constant_action", "stay", "blind"}
        Local policies to start from, each a task of its own: uniform (the paper's); for each global action, the best
        answer to a global agent that always plays it; to one that stays where it is; to the best one that sees nobody.
    n_random_starts : int
        Random deterministic local policies to start from, too.
    ascent : bool
        Whether each start also climbs the joint return itself, in a game of at most five agents, all seen.
    """

    update: UpdateKind = "pair"
    joint_value: JointValueKind = "rollouts"
    n_outer_iterations: Count = 5
    convergence_rtol: NonNegative = 0.01
    starts: Annotated[tuple[StartKind, ...], MinLen(1)] = ("uniform",)
    n_random_starts: Annotated[int, Ge(0), Le(MAX_RANDOM_STARTS)] = 0
    ascent: bool = False


@dataclass(frozen=True, kw_only=True)
class Evaluation(_Section):
    """What a pair of policies is worth in the n-agent game.

    Attributes
    ----------
    method : {"rollouts", "exact", "both"}
        By rollouts, without sampling, or both; all are returns over ``horizon`` steps.
    n_rollouts : int
        Rollouts per evaluation seed.
    horizon : int
        Steps per rollout.
    reward : {"sampled", "expected"}
        What a step of an evaluation earns: the reward of the local actions that were drawn,
        or its expectation given the states.
    """

    method: EvaluationMethod = "rollouts"
    n_rollouts: Count = 50
    horizon: Count = 50
    reward: RewardKind = "sampled"


@dataclass(frozen=True, kw_only=True)
class Experiment(_Section):
    """Which subsample sizes are trained, and how often each is evaluated.

    Attributes
    ----------
    k_range : tuple of int
        First and last subsample size k; by default 1 and 25.
    k_values : tuple of int, optional
        The sizes themselves, instead of ``k_range``.
    reference_k : int, optional
        Size at which the shared local policy is trained; the largest k by default.
    local_policy : {"shared", "per_k"}
        Whether every k has the shared local policy, or the best one for it of all that the starts led to.
    n_train_seeds : int
        Trainings of each setting, each with random numbers of its own, also for its evaluations.
    n_eval_seeds : int
        Evaluation seeds per training and k.
    seed : int
        Root of every random stream.
    nash_gap : {"off", "estimate", "exact"}
        How the Nash gaps of the pair at each k are found, if at all.
    baselines : tuple of str
        What else is evaluated, to compare with: ``independent_q`` and ``subsampled_q`` are model-free learners, which
        run for each training and k; the others are evaluated once for each setting.
    baseline_samples : tuple of int
        Draws of an agent's next state that such a learner may take: with several, one run is looked at after each.
    policies : dict of str to str
        Pairs of policies from elsewhere to evaluate at each k, too: by their names, functions of one's own as
        ``package.module:function``, which are given the game and k and return a global and a local policy.
    bound : {"off", "exact"}
        Whether it is worked out what no policies at all can earn more than.
    bound_m : int, optional
        Agents of the game whose optimum that is: the more, the lower, and the longer it takes. At most all; by default
        as many as fit a million vectors.
    welfare_max_enumerated : int
        The search for the best pair, which an exact Nash gap compares with, looks at all deterministic local policies
        if there are at most so many.
    welfare_starts : int, optional
        Otherwise it starts from so many: the answers to global agents that see nobody, the uniform policy, and then
        random ones; by default from all but these.
    """

    k_range: tuple[Count, Count] | None = None
    k_values: Annotated[tuple[Count, ...], MinLen(1)] | None = None
    reference_k: Count | None = None
    local_policy: LocalChoice = "shared"
    n_train_seeds: Count = 1
    n_eval_seeds: Count = 10
    seed: Natural = 0
    nash_gap: NashGapMethod = "off"
    baselines: tuple[BaselineName, ...] = ()
    baseline_samples: Annotated[tuple[Count, ...], MinLen(1)] = (100_000,)
    policies: dict[str, str] = field(default_factory=dict)
    bound: BoundKind = "off"
    bound_m: Count | None = None
    welfare_max_enumerated: Natural = 10_000
    welfare_starts: Annotated[int, Ge(1), Le(MAX_RANDOM_STARTS)] | None = None


@dataclass(frozen=True, kw_only=True)
class Runner(_Section):
    """Where the tasks run; nothing here changes a number in the tables.

    Attributes
    ----------
    num_cpus : int, optional
        Cores that the tasks may use in all; by default all of the cluster, or all that the
        affinity and the cgroup leave of this machine.
    cpus_per_train : int, optional
        Cores that each training asks for and uses. By default one, and more for the shared
        local policies while they leave cores idle.
    task_timeout_s : float, optional
        Seconds after which a task is given up; no deadline by default.
    """

    num_cpus: Count | None = None
    cpus_per_train: Count | None = None
    task_timeout_s: Seconds | None = None


@dataclass(frozen=True, kw_only=True)
class SweepFile:
    """A whole sweep file, checked but with its grid still folded.

    Attributes
    ----------
    name : str
        Names the sweep and its results folder; the file's name by default.
    environment : dict
        The environment's ``name`` and its parameters.
    global_agent, local_agent, alternating, evaluation, experiment, runner
        The sections above.
    grid : dict of str to list
        Dotted keys, or sections, and the values that each takes, which of a section are mappings of keys; every
        combination is a setting.
    """

    name: Annotated[str, Matches(NAME_PATTERN)] = "sweep"
    environment: dict[str, Any] = field(default_factory=dict)
    global_agent: GlobalAgent = GlobalAgent()
    local_agent: LocalAgent = LocalAgent()
    alternating: Alternating = Alternating()
    evaluation: Evaluation = Evaluation()
    experiment: Experiment = Experiment()
    runner: Runner = Runner()
    grid: dict[str, list[Any]] = field(default_factory=dict)
