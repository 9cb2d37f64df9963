"""What agents do and where they go, where there are many local states and few ways from each of them.

Positions on a line, levels or queues change little in a step: of the L A_l outcomes of a state, a new state and an
action, only some have a probability above 0. These alone are kept.
"""

from __future__ import annotations

import numpy as np

from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment

# So many agents, or so many counts, are drawn at a time: their arrays stay in the cache.
BLOCK = 2**15


class SparseLaws:
    """Distributions over many outcomes, (rows, O), as the possible ones of each row, K at most.

    Rows of fewer than K are filled up by their last outcome with probability 0.

    Attributes
    ----------
    probabilities : ndarray, shape (rows, K)
        Of each possible outcome.
    outcomes : ndarray of int, shape (rows, K)
        Their numbers.
    """

    def __init__(self, laws: Array, *, likely_first: bool) -> None:
        n_possible = (laws > 0).sum(axis=1)
        kept = np.arange(int(n_possible.max()))
        order = np.argsort(-laws if likely_first else laws == 0, axis=1, kind="stable")[:, : len(kept)]
        self.probabilities = np.take_along_axis(laws, order, axis=1)
        self.outcomes = np.take_along_axis(order, np.minimum(kept, n_possible[:, None] - 1), axis=1)

    def draw(self, rows: Ints, counts: Ints, rng: np.random.Generator) -> Ints:
        """Draw what so many agents of some rows do, (m,), as the numbers of each outcome, (m, K).

        numpy draws outcome by outcome, and is soon done where the likely ones come first.
        """
        return rng.multinomial(counts, self.probabilities[rows])


def outcome_laws(env: Environment, local_policy: Array) -> Array:
    """Return P(s_l', a_l | s_g, s_l), (G L, L A_l), at ``[s_g L + s_l, s_l' A_l + a_l]``."""
    joint = np.einsum("gla,glam->glma", local_policy, env.transition_local)
    return joint.reshape(-1, env.n_local_states * env.n_local_actions)


def outcome_tables(env: Environment, laws: SparseLaws) -> tuple[Ints, Array]:
    """Return the next state and the reward of each outcome kept, (G L, K)."""
    next_state, action = np.divmod(laws.outcomes, env.n_local_actions)
    rewards = env.reward_local.reshape(-1, env.n_local_actions)
    return next_state, np.take_along_axis(rewards, action, axis=1)


def move_counts(laws: SparseLaws, s_g: Ints, population: Ints, rng: np.random.Generator) -> Ints:
    """Draw where populations go, (R, L) to (R, L), by the laws of a single agent's next state, of G L rows."""
    n_states = population.shape[1]
    moved = np.empty_like(population)
    size = max(1, BLOCK // laws.outcomes.shape[1] // n_states)
    for first in range(0, len(population), size):
        block = slice(first, first + size)
        rollout, state = population[block].nonzero()
        rows = s_g[block][rollout] * n_states + state
        drawn = laws.draw(rows, population[block][rollout, state], rng)
        moved[block] = gathered(laws.outcomes[rows], drawn, rollout, moved[block].shape)
    return moved


def gathered(next_states: Ints, drawn: Ints, rollout: Ints, shape: tuple[int, ...]) -> Ints:
    """Add up where agents have gone, so many to each of some states, (m, K), by rollouts: counts of shape (R, L)."""
    places = next_states + rollout[:, None] * shape[1]
    # Counts are below 2^53, so sums of floats are exact.
    summed = np.bincount(places.ravel(), weights=drawn.ravel(), minlength=shape[0] * shape[1])
    return summed.astype(np.int64).reshape(shape)
