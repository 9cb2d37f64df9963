"""Which way of drawing is the fastest for a game: the law of what is drawn is the same for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from distmarl.dynamics.by_agents import DrawsByAgents, bytes_by_agents
from distmarl.dynamics.by_counts import DrawsByCounts, bytes_by_counts
from distmarl.dynamics.by_ranks import DrawsByRanks, bytes_by_ranks, bytes_of_ranks_table
from distmarl.dynamics.by_ways import DrawsByWays, bytes_by_ways, bytes_of_ways_table
from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment
from distmarl.model.random_streams import Role, Seed

# Above so many local states, agents are told by their ranks and outcomes by whether they are possible.
FEW_STATES = 10
# With few states, drawing agent by agent is faster up to about 110 agents, and at most half as slow again up to so many
# (tests/benchmarks/evaluation.py), which are compared with less noise for it.
MAX_AGENTS_DRAWN = 150
# Of that, at most so many agents of a set of rollouts at a time, for the memory.
MAX_AGENTS_AT_ONCE = 2**20
# With many, up to about so many agents for each way from a state to a next one.
MAX_AGENTS_PER_WAY = 1.0


class Draws(Protocol):
    """What draws for sets of rollouts side by side."""

    def __init__(
        self, env: Environment, local_policy: Array, *, k: int, n_rollouts: int, seeds: Sequence[Seed], role: Role
    ) -> None: ...

    def observe(self, population: Ints) -> Ints:
        """Draw what the global agent sees of each population, by classes, (S R, B) to (S R, B)."""

    def move(self, s_g: Ints, population: Ints) -> tuple[Array, Ints]:
        """Draw actions and moves: what the agents of each population earn together, (S R,), and the next one."""


def draws_for(env: Environment, n_rollouts: int) -> type[Draws]:
    """Return what draws a set of rollouts fastest: agent by agent for small populations, else counts."""
    if has_few_states(env):
        return DrawsByAgents if is_drawn_by_agents(env, n_rollouts) else DrawsByCounts
    return DrawsByRanks if is_drawn_by_agents(env, n_rollouts) else DrawsByWays


def has_few_states(env: Environment) -> bool:
    """Return whether tables may have a cell for every two local states."""
    return env.n_local_states <= FEW_STATES


def is_drawn_by_agents(env: Environment, n_rollouts: int) -> bool:
    """Return whether a set of rollouts is drawn agent by agent, which is faster for small populations."""
    if has_few_states(env):
        return env.n_agents <= MAX_AGENTS_DRAWN and env.n_agents * n_rollouts <= MAX_AGENTS_AT_ONCE
    return env.n_agents <= MAX_AGENTS_PER_WAY * n_ways(env)


def n_ways(env: Environment) -> float:
    """Return the number of pairs of a local state and a possible next one, for a global state on the average."""
    ways = (env.transition_local > 0).any(axis=2)
    return float(ways.sum()) / env.n_global_states


def bytes_of_arrays(env: Environment, n_rollouts: int) -> int:
    """Return about how much memory the arrays of a set of rollouts take, in bytes."""
    by_agents = is_drawn_by_agents(env, n_rollouts)
    if has_few_states(env):
        return (bytes_by_agents if by_agents else bytes_by_counts)(env, n_rollouts)
    return (bytes_by_ranks if by_agents else bytes_by_ways)(env, n_rollouts)


def bytes_of_tables(env: Environment, n_rollouts: int) -> int:
    """Return about how much memory the laws take that all rollouts share, in bytes; those of few states hardly any."""
    if has_few_states(env):
        return 0
    return (bytes_of_ranks_table if is_drawn_by_agents(env, n_rollouts) else bytes_of_ways_table)(env)
