"""Games made of functions: the same tables where they tell probabilities, near ones where they only draw states."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import distmarl as dm
from distmarl.errors import InvalidEnvironmentError
from tests.strategies import FEW, environments, random_global_policy, random_local_policy
from tests.test_docstrings import run_examples


def sizes_of(env):
    names = ("n_global_states", "n_local_states", "n_global_actions", "n_local_actions", "n_agents", "gamma")
    start = {name: getattr(env, name) for name in ("initial_global", "initial_local_concentration")}
    return {name: getattr(env, name) for name in names} | start


def functions_of(env):
    """The four functions of a game, of probabilities."""
    return [
        lambda s_g, a_g: env.transition_global[s_g, a_g],
        lambda s_l, s_g, a_l: list(env.transition_local[s_g, s_l, a_l]),
        lambda s_g, a_g: env.reward_global[s_g, a_g],
        lambda s_l, s_g, a_l: float(env.reward_local[s_g, s_l, a_l]),
    ]


def samplers_of(env):
    return [
        lambda s_g, a_g, rng: rng.choice(env.n_global_states, p=env.transition_global[s_g, a_g]),
        lambda s_l, s_g, a_l, rng: int(rng.choice(env.n_local_states, p=env.transition_local[s_g, s_l, a_l])),
        *functions_of(env)[2:],
    ]


def test_the_example_in_its_docstring_runs():
    run_examples(dm.Environment.from_functions, "from_functions")


@FEW
@given(environments())
def test_functions_of_probabilities_make_the_same_game(env):
    made = dm.Environment.from_functions(*functions_of(env), **sizes_of(env))
    assert made.digest() == env.digest()


@pytest.mark.parametrize("seed", range(2))
def test_samples_make_a_game_within_the_bounds(seed):
    """Rows, and the exact return of any pair of policies; many samples make the bounds say something."""
    env = dm.game("random", n_agents=3, gamma=0.5, seed=seed)
    m = 3000
    made = dm.Environment.from_functions(*samplers_of(env), **sizes_of(env), n_samples=m, seed=seed)
    error = dm.sampling_error(made, n_samples=m, k=2)
    rng = np.random.default_rng(seed)
    global_policy, local_policy = random_global_policy(rng, env, 2), random_local_policy(rng, env)
    values = [dm.exact_return(each, global_policy, local_policy, k=2).value for each in (env, made)]
    assert 0 < np.abs(made.transition_global - env.transition_global).sum(axis=-1).max() <= error.row_global < 0.2
    assert 0 < np.abs(made.transition_local - env.transition_local).sum(axis=-1).max() <= error.row_local < 0.2
    assert 0 < abs(values[0] - values[1]) <= error.value < 2.0
    few = dm.Environment.from_functions(*samplers_of(env), **sizes_of(env), n_samples=20, seed=seed)
    assert np.abs(few.transition_local - env.transition_local).sum(axis=-1).max() > error.row_local


def test_the_bound_of_rows_holds_as_often_as_it_says():
    """With a confidence of a half, so that a bound that is too small would be seen; Weissman's is far from tight."""
    env = dm.game("conventions", n_agents=2)
    n_inside = 0
    for seed in range(40):
        made = dm.Environment.from_functions(*samplers_of(env), **sizes_of(env), n_samples=50, seed=seed)
        error = dm.sampling_error(made, n_samples=50, k=1, confidence=0.5)
        misses = np.abs(made.transition_local - env.transition_local).sum(axis=-1)
        n_inside += misses.max() <= error.row_local
    assert n_inside >= 20


def test_the_bound_of_the_return_has_the_order_of_what_one_step_is_off():
    """At gamma near 0 the return is off by gamma times what one step is: the bound has the same order."""
    env = dm.game("conventions", n_agents=2, gamma=1e-4)
    bound = dm.sampling_error(env, n_samples=10**6, k=1).value
    shifted = env.transition_local.copy()
    off = dm.sampling_error(env, n_samples=10**6, k=1).row_local / 2
    shifted[..., 0] += off
    shifted[..., 1] -= off
    other = dm.Environment(
        transition_global=env.transition_global,
        transition_local=shifted,
        reward_global=env.reward_global,
        reward_local=env.reward_local,
        n_agents=2,
        gamma=env.gamma,
    )
    policies = np.ones((2, 2), dtype=int), dm.uniform_local_policy(env)
    values = [dm.exact_return(each, *policies, k=1, tolerance=1e-13).value for each in (env, other)]
    assert bound / 10 < abs(values[0] - values[1]) <= bound


def test_the_same_seed_draws_the_same_game():
    env = dm.game("ring", n_agents=3, n_places=3)
    noisy = dm.robots(n_agents=3)
    digests = [
        dm.Environment.from_functions(*samplers_of(noisy), **sizes_of(noisy), n_samples=5, seed=seed).digest()
        for seed in (0, 0, 1)
    ]
    assert digests[0] == digests[1] != digests[2]
    sure = dm.Environment.from_functions(*samplers_of(env), **sizes_of(env), n_samples=1)
    assert sure.digest() == env.digest(), "what is certain needs no more than one sample"


ENV = dm.game("conventions", n_agents=3)


@pytest.mark.parametrize(
    ("position", "function", "message"),
    [
        (0, lambda *_: [1.0], "transition_global(0, 0): must return 2 probabilities, got an array of shape (1,)"),
        (1, lambda *_: "ab", "transition_local(0, 0, 0): must return probabilities: could not convert"),
        (1, lambda *_: [0.7, 0.7], "transition_local[s_g=0, s_l=0, a_l=0]"),
        (
            1,
            lambda s_l, *_: [0.5, 0.5] if s_l < 1 else [np.nan, 1],
            "transition_local[s_g=0, s_l=1, a_l=0, s_l'=0]",
        ),
        (2, lambda *_: None, "reward_global(0, 0): must return a number, got None"),
        (3, lambda *_: 1j, "reward_local(0, 0, 0): must return a number, got 1j"),
    ],
)
def test_what_a_function_may_not_return_is_named_with_the_call(position, function, message):
    functions = functions_of(ENV)
    functions[position] = function
    with pytest.raises(InvalidEnvironmentError, match=re.escape(message)):
        dm.Environment.from_functions(*functions, **sizes_of(ENV))


@pytest.mark.parametrize("state", [2, -1, 0.5, None])
def test_a_sample_that_is_no_state_is_refused(state):
    functions = samplers_of(ENV)
    functions[1] = lambda _, s_g, *__: state if s_g else 0
    rule = rf"transition_local\(0, 1, 0\): must return a state, an integer from 0 to 1, got {state}"
    with pytest.raises(InvalidEnvironmentError, match=rule):
        dm.Environment.from_functions(*functions, **sizes_of(ENV), n_samples=2)


def test_what_a_function_raises_is_left_as_it_is():
    def broken(*_):
        return [0.5, 0.5][int("x")]

    with pytest.raises(ValueError, match="invalid literal") as caught:
        dm.Environment.from_functions(broken, *functions_of(ENV)[1:], **sizes_of(ENV))
    assert not isinstance(caught.value, InvalidEnvironmentError)


@pytest.mark.parametrize("name", ["n_global_states", "n_local_actions", "n_samples"])
@pytest.mark.parametrize("size", [0, 1.5, "3", True])
def test_impossible_sizes_are_refused(name, size):
    with pytest.raises(InvalidEnvironmentError, match=f"{name}: must be an integer of 1 or more"):
        dm.Environment.from_functions(*samplers_of(ENV), **{**sizes_of(ENV), "n_samples": 1, name: size})


@given(n_samples=st.integers(1, 10**9), confidence=st.floats(0.01, 0.99))
@FEW
def test_more_samples_and_less_confidence_make_smaller_bounds(n_samples, confidence):
    base = dm.sampling_error(ENV, n_samples=n_samples, k=1, confidence=confidence)
    more = dm.sampling_error(ENV, n_samples=4 * n_samples, k=1, confidence=confidence)
    surer = dm.sampling_error(ENV, n_samples=n_samples, k=1, confidence=(1 + confidence) / 2)
    assert more.row_local <= base.row_local <= surer.row_local <= 2
    assert more.value <= base.value <= surer.value
