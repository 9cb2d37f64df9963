"""Random games, policies and count vectors, for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from distmarl import Environment, robots
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
    observation=None,
    n_parts=0,
):
    """A game with Dirichlet transitions, normal rewards and a random start, a mixture where it has parts."""
    n_g, n_l, n_ag, n_al = n_global_states, n_local_states, n_global_actions, n_local_actions
    if n_parts:
        start = {"initial_shares": random_rows(rng, (n_parts, n_l)), "initial_weights": random_rows(rng, (n_parts,))}
    return Environment(
        transition_global=random_rows(rng, (n_g, n_ag, n_g), concentration),
        transition_local=random_rows(rng, (n_g, n_l, n_al, n_l), concentration),
        reward_global=rng.normal(size=(n_g, n_ag)),
        reward_local=rng.normal(size=(n_g, n_l, n_al)),
        n_agents=n_agents,
        gamma=gamma,
        initial_global=random_rows(rng, (n_g,)),
        observation=observation,
        **(start if n_parts else {"initial_local_concentration": rng.uniform(0.2, 2.0, size=n_l)}),
    )


def random_local_policy(rng, env):
    """A local policy with Dirichlet rows."""
    return random_rows(rng, (env.n_global_states, env.n_local_states, env.n_local_actions))


def random_global_policy(rng, env, k):
    """A global policy of uniform actions."""
    n_counts = len(enumerate_counts(k, env.n_classes))
    return rng.integers(env.n_global_actions, size=(env.n_global_states, n_counts))


def random_drawn_policy(rng, env, k):
    """A global policy that draws its action, (G, C, A_g)."""
    n_counts = len(enumerate_counts(k, env.n_local_states))
    return random_rows(rng, (env.n_global_states, n_counts, env.n_global_actions))


def normalised(rows):
    """Rows divided by their sums."""
    return rows / rows.sum(axis=-1, keepdims=True)


KERNEL_FAMILIES = (
    "robots",
    "dirichlet",
    "sparse",
    "deterministic",
    "permutation",
    "rank one",
    "repeated rows",
    "absorbing states",
    "rows equal up to 1e-13",
    "rows equal up to 1e-9",
    "two rows equal up to 1e-13",
    "two rows equal up to 1e-9",
    "permutation up to 1e-15",
    "permutation up to 1e-14",
    "permutation up to 1e-9",
)


def random_kernel(rng, family, n_states):
    """A kernel (L, L) of one of the ``KERNEL_FAMILIES``."""
    rows = random_rows(rng, (n_states, n_states), rng.choice([0.1, 0.3, 1.0, 3.0]))
    kind, _, distance = family.partition(" up to ")
    noise = float(distance or 0.0) * rng.random((n_states, n_states))
    if family == "robots":
        env = robots(n_global_states=n_states, n_local_states=n_states, n_global_actions=n_states)
        s_g = rng.integers(n_states)
        return normalised(np.einsum("la,lam->lm", random_local_policy(rng, env)[s_g], env.transition_local[s_g]))
    if family == "sparse":
        return normalised(rows * (rng.random(rows.shape) < 0.5) + 0.01 * np.eye(n_states)[rng.permutation(n_states)])
    if family == "deterministic":
        return np.eye(n_states)[rng.integers(n_states, size=n_states)]
    if kind == "permutation":
        return normalised(np.eye(n_states)[rng.permutation(n_states)] + noise)
    if family == "repeated rows":
        return rows[rng.integers(max(1, n_states - 1), size=n_states)]
    if family == "absorbing states":
        return np.where(rng.random((n_states, 1)) < 0.5, np.eye(n_states), rows)
    if kind in ("rank one", "rows equal"):
        return normalised(rows[:1] + noise)
    if kind == "two rows equal":
        rows[-1] = normalised(rows[0] + noise[0])
    return rows


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
