"""Random games, policies and count vectors, for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from distmarl import Environment
from tests.reference import enumerate_counts

# Every run draws the same examples, so that a run that passes passes again.
DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=40, database=None)
FEW = settings(DETERMINISTIC, max_examples=15)


def random_rows(rng, shape, concentration=1.0):
    """An array of ``shape`` whose last axis holds Dirichlet distributions."""
    rows = rng.dirichlet(np.full(shape[-1], concentration), size=shape[:-1])
    return rows / rows.sum(axis=-1, keepdims=True)


def random_environment(
    rng,
    *,
    n_global_states=2,
    n_local_states=3,
    n_global_actions=2,
    n_local_actions=2,
    n_agents=6,
    gamma=0.9,
    concentration=1.0,
):
    """A game with Dirichlet transitions, normal rewards and a random start."""
    n_g, n_l, n_ag, n_al = n_global_states, n_local_states, n_global_actions, n_local_actions
    return Environment(
        transition_global=random_rows(rng, (n_g, n_ag, n_g), concentration),
        transition_local=random_rows(rng, (n_g, n_l, n_al, n_l), concentration),
        reward_global=rng.normal(size=(n_g, n_ag)),
        reward_local=rng.normal(size=(n_g, n_l, n_al)),
        n_agents=n_agents,
        gamma=gamma,
        initial_global=random_rows(rng, (n_g,)),
        initial_local_concentration=rng.uniform(0.2, 2.0, size=n_l),
    )


def random_local_policy(rng, env):
    """A local policy with Dirichlet rows."""
    return random_rows(rng, (env.n_global_states, env.n_local_states, env.n_local_actions))


def random_global_policy(rng, env, k):
    """A global policy of uniform actions."""
    n_counts = len(enumerate_counts(k, env.n_local_states))
    return rng.integers(env.n_global_actions, size=(env.n_global_states, n_counts))


def generators():
    """Seeded numpy generators."""
    return st.integers(0, 2**32 - 1).map(np.random.default_rng)


@st.composite
def environments(draw, *, max_agents=5, gammas=(0.0, 0.5, 0.9)):
    """Small random games, with every axis from size 1 up."""
    return random_environment(
        draw(generators()),
        n_global_states=draw(st.integers(1, 3)),
        n_local_states=draw(st.integers(1, 3)),
        n_global_actions=draw(st.integers(1, 3)),
        n_local_actions=draw(st.integers(1, 3)),
        n_agents=draw(st.integers(1, max_agents)),
        gamma=draw(st.sampled_from(gammas)),
        concentration=draw(st.sampled_from([0.1, 1.0])),
    )


@st.composite
def count_vector_lists(draw, *, max_k=60, max_states=7):
    """A pair of count vectors with the same sum and length."""
    k = draw(st.integers(0, max_k))
    n_states = draw(st.integers(1, max_states))
    rng = draw(generators())
    shares = rng.dirichlet(np.full(n_states, 0.5), size=2)
    return rng.multinomial(k, shares / shares.sum(axis=1, keepdims=True))
