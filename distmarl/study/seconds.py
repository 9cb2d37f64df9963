"""How long tasks take on a reference core, by the count of their operations.

The counts tell how the time grows: a sweep of value iteration passes over all C(k) count vectors, with exact
transitions k/L + 1 times as often; rollouts cost their steps. The constants are those of one core, and rough: how
far they are off where tasks run is for :mod:`distmarl.sweep.estimates.costs` to find out.
"""

from __future__ import annotations

import math

from distmarl.dynamics.drawing import has_few_states, is_drawn_by_agents, n_ways
from distmarl.dynamics.rollouts import seeds_together
from distmarl.dynamics.transitions.kinds import TRANSITIONS
from distmarl.learning.aggregation import game_of_sizes
from distmarl.learning.best.answers import larger_size
from distmarl.learning.best.choice import (
    LEFT_OUT,
    LEFT_OUT_OF_A_VALUE,
    N_EXACT,
    N_ROLLOUTS,
    has_exact_values,
    is_cheap,
    n_steps,
)
from distmarl.learning.surrogate_game import n_columns_moved
from distmarl.model.environment import Environment
from distmarl.model.options import TransitionKind
from distmarl.study.job import Job

# Measured on the robots game, with nothing else on the machine, like those of the kinds of transitions.
# Of a step of rollouts: once, for each agent, and for each of the L^2 A_l ways to move where counts are drawn; of many
# local states, for each possible way (on the warehouse game).
PER_STEP_S, PER_AGENT_S, PER_WAY_S, PER_POSSIBLE_WAY_S = 1e-4, 4.6e-8, 1.1e-7, 5.4e-8

# Values of more count vectors than this leave the cache, until it plays no part any more.
N_CACHED_VECTORS, MOST_DOUBLINGS = 10**4, 5
# Under a greedy local policy agents move in leaps: exact transitions then take so many times as many sweeps.
GREEDY_SWEEPS = 1.2
# Answers of a global agent that compete, beside those that are valued at once; sweeps of an exact value over all steps.
N_ANSWERS, N_SWEEPS_OF_A_VALUE = 6, 25
# An ascent takes about as long as so many trainings in the larger surrogate game.
N_TRAININGS_OF_AN_ASCENT = 6


def training_s(job: Job, k: int, transitions: TransitionKind | None = None) -> float:
    """Return the time of G-LEARN at k, with the setting's transitions unless others are given."""
    options = job.setting.global_agent
    kind = transitions or options.transitions
    leaps = kind == "exact" and job.setting.local_agent.policy == "greedy"
    n_sweeps = min(TRANSITIONS[kind].n_sweeps * (GREEDY_SWEEPS if leaps else 1), options.max_vi_iterations)
    return n_sweeps * learning_sweep_s(job, k, kind)


def learning_sweep_s(job: Job, k: int, transitions: TransitionKind) -> float:
    """Return the time of a sweep of G-LEARN, over count vectors of k agents by their classes."""
    env = job.environment
    n_columns = n_columns_moved(env.transition_global)
    return _sweep_s(job, game_of_sizes(env), k, job.n_count_vectors(k), transitions, n_columns)


def population_sweep_s(job: Job, n_agents: int, n_vectors: int | None = None) -> float:
    """Return the time of an exact sweep over count vectors of so many agents by their states, by default all."""
    n_vectors = job.n_populations(n_agents) if n_vectors is None else n_vectors
    return _sweep_s(job, job.environment, n_agents, n_vectors, "exact", job.environment.n_global_states)


def seen_sweep_s(job: Job, n_agents: int, n_vectors: int) -> float:
    """Return the time of an exact sweep over so many count vectors of so many agents by their classes."""
    env = job.environment
    return _sweep_s(job, game_of_sizes(env), n_agents, n_vectors, "exact", env.n_global_states)


def _sweep_s(
    job: Job, env: Environment, k: int, n_vectors: int, transitions: TransitionKind, n_columns: float
) -> float:
    """Return the time of a sweep whose operators are applied to so many columns each."""
    kind, n_global = TRANSITIONS[transitions], env.n_global_states
    n_operations = n_global * n_columns * n_vectors * kind.n_operations(env, k, job.setting.global_agent)
    n_doublings = min(MOST_DOUBLINGS, math.log2(max(1.0, n_vectors / N_CACHED_VECTORS)))
    slower = 1.0 + kind.growth * n_doublings
    return n_global * kind.per_kernel_s(env, k) + n_operations * kind.per_operation_s * slower


def evaluation_s(job: Job, n_seeds: int | None = None, horizon: int | None = None) -> float:
    """Return the time of the evaluations of a pair, as many and as long as the job's unless others are given."""
    n_rollouts = job.setting.evaluation.n_rollouts
    n_seeds = job.experiment.n_eval_seeds if n_seeds is None else n_seeds
    horizon = job.setting.evaluation.horizon if horizon is None else horizon
    # Seeds take their steps together, as far as they fit into the cache.
    n_saved = n_seeds - math.ceil(n_seeds / seeds_together(job.environment, n_rollouts))
    return n_seeds * rollouts_s(job, n_rollouts, horizon) - n_saved * horizon * PER_STEP_S


def rollouts_s(job: Job, n_rollouts: int, horizon: int | None = None) -> float:
    """Return the time of rollouts that advance together, over the horizon of evaluations unless another is given."""
    env, horizon = job.environment, job.setting.evaluation.horizon if horizon is None else horizon
    by_counts = PER_WAY_S * env.n_local_states**2 * env.n_local_actions
    if not has_few_states(env):
        by_counts = PER_POSSIBLE_WAY_S * n_ways(env) * env.n_local_actions
    each_s = PER_AGENT_S * env.n_agents if is_drawn_by_agents(env, n_rollouts) else by_counts
    return horizon * (PER_STEP_S + n_rollouts * each_s)


def choice_s(job: Job, k: int, n_policies: int) -> float:
    """Return the time of choosing among so many local policies, and among their answers where the best are wanted."""
    env, larger = job.environment, larger_size(job.environment)
    n_answers = 1 if job.setting.global_agent.answer == "surrogate" or k >= larger else N_ANSWERS
    each_s = training_s(job, k) + training_s(job, larger, "exact")
    value_s = N_SWEEPS_OF_A_VALUE * population_sweep_s(job, env.n_agents)
    each_s += n_answers * (value_s if is_cheap(env) else rollouts_s(job, N_ROLLOUTS, n_steps(env.gamma, LEFT_OUT)))
    dear_s = 0.0
    if not has_exact_values(env):
        dear_s = rollouts_s(job, N_ROLLOUTS, n_steps(env.gamma, LEFT_OUT_OF_A_VALUE))
    elif not is_cheap(env):
        dear_s = min(N_EXACT, n_policies) * value_s
    return n_policies * each_s + dear_s


def population_s(job: Job) -> float:
    """Return the time of an exact value over the horizon, on the count vectors of all agents."""
    n_agents = job.environment.n_agents
    return job.setting.evaluation.horizon * population_sweep_s(job, n_agents)
