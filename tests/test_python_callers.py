"""What Python callers may pass where numbers belong: Python's and numpy's, and nothing else."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import distmarl as dm

ENV = dm.robots(n_agents=6, n_global_states=3, n_local_states=3, n_global_actions=3)
UNIFORM = dm.uniform_local_policy(ENV)
FOUND = dm.g_learn(ENV, UNIFORM, k=2, transitions="exact")
PAIR = (ENV, FOUND.policy, UNIFORM)
RAGGED = [[1], [1, 2]]

pytestmark = pytest.mark.filterwarnings("error")


def with_sizes(call: Callable[..., Any], integers: dict[str, int], floats: dict[str, float]) -> tuple[Any, Any]:
    """Return what a function gives for Python's numbers, and for small ones of numpy's, which would overflow."""
    small = {name: np.int8(value) for name, value in integers.items()}
    single = {name: np.float32(value) for name, value in floats.items()}
    return call(**integers, **{name: float(value) for name, value in single.items()}), call(**small, **single)


@pytest.mark.parametrize(
    ("call", "integers", "floats"),
    [
        (lambda **given: dm.evaluate(*PAIR, **given).mean, {"k": 2, "n_rollouts": 100, "horizon": 100, "seed": 3}, {}),
        (
            lambda **given: dm.g_learn(ENV, UNIFORM, **given).value.tolist(),
            {"k": 2, "n_mc_samples": 100, "max_vi_iterations": 100, "n_threads": 2, "seed": 3},
            {"convergence_threshold": 1e-3},
        ),
        (
            lambda **given: dm.l_learn(*PAIR, **given).policy.tolist(),
            {"k": 2, "max_vi_iterations": 100},
            {"convergence_threshold": 1e-3, "softmax_temperature_scale": 3.5, "softmax_temperature_min": 0.3},
        ),
        (
            lambda **given: dm.train_alternating(ENV, **given).joint_value,
            {"k": 2, "n_outer_iterations": 2, "n_rollouts": 100, "horizon": 100, "n_mc_samples": 3},
            {"convergence_rtol": 0.1},
        ),
        (lambda **given: dm.exact_return(*PAIR, **given), {"k": 2, "horizon": 100}, {"tolerance": 1e-3}),
        (
            lambda **given: str(dm.nash_gap(*PAIR, **given)),
            {"k": 2, "max_enumerated": 3, "n_starts": 1},
            {"tolerance": 1e-3},
        ),
        (
            lambda **given: str(dm.nash_gap(*PAIR, method="estimate", **given)),
            {"k": 2, "n_rollouts": 100, "horizon": 20},
            {},
        ),
        (lambda **given: dm.count_vectors(**given).tolist(), {"k": 100, "n_states": 2}, {}),
        (
            lambda **given: dm.robots(**given).digest(),
            {"n_agents": 30, "n_global_states": 5, "n_local_states": 5, "n_global_actions": 5, "n_local_actions": 3},
            {"gamma": 0.9},
        ),
    ],
)
def test_numpys_numbers_are_taken_like_pythons(
    call: Callable[..., Any], integers: dict[str, int], floats: dict[str, float]
) -> None:
    pythons, numpys = with_sizes(call, integers, floats)
    assert pythons == numpys


@pytest.mark.parametrize(
    ("function", "arguments", "integers", "floats"),
    [
        (dm.evaluate, PAIR, ["k", "n_rollouts", "horizon", "seed"], []),
        (
            dm.g_learn,
            (ENV, UNIFORM),
            ["k", "n_mc_samples", "max_vi_iterations", "n_threads", "seed"],
            ["convergence_threshold"],
        ),
        (
            dm.l_learn,
            PAIR,
            ["k", "max_vi_iterations"],
            ["convergence_threshold", "softmax_temperature_scale", "softmax_temperature_min"],
        ),
        (
            dm.train_alternating,
            (ENV,),
            ["k", "n_outer_iterations", "n_rollouts", "horizon", "n_random_starts", "seed"],
            ["convergence_rtol"],
        ),
        (dm.best_pair, (ENV,), ["k", "n_random_starts", "n_threads", "seed"], []),
        (dm.best_answer, (ENV, UNIFORM), ["k", "seed"], []),
        (dm.best_welfare, (ENV,), ["max_enumerated", "n_starts", "seed"], ["tolerance"]),
        (dm.value_bound, (ENV,), ["horizon", "m", "max_vectors"], ["tolerance"]),
        (dm.exact_return, PAIR, ["k", "horizon"], ["tolerance"]),
        (dm.nash_gap, PAIR, ["k", "max_enumerated", "n_starts", "n_rollouts", "horizon", "seed"], ["tolerance"]),
        (
            dm.robots,
            (),
            ["n_agents", "n_global_states", "n_local_states", "n_global_actions", "n_local_actions"],
            ["gamma"],
        ),
        (dm.count_vectors, (), ["k", "n_states"], []),
    ],
)
def test_what_is_no_number_is_refused_in_our_words(
    function: Callable[..., Any], arguments: tuple[Any, ...], integers: list[str], floats: list[str]
) -> None:
    parameters = inspect.signature(function).parameters
    good = {name: 2 for name in ("k", "n_states") if name in parameters}
    for name in [*integers, *floats]:
        for bad in ("4", 2.5, np.float64(2.0), np.bool_(True), np.ones(2), 1j, None):
            is_fine = name in floats and isinstance(bad, float)
            is_default = bad is None and name in parameters and parameters[name].default is None
            is_seeds = name == "seed" and bad is None
            if is_fine or is_default or is_seeds:
                continue
            with pytest.raises(dm.DistmarlError, match=f"^{name}: must be ") as caught:
                function(*arguments, **{**good, name: bad})
            assert "np." not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "arguments", "names"),
    [
        (dm.evaluate, PAIR, ["k", "n_rollouts", "horizon"]),
        (dm.g_learn, (ENV, UNIFORM), ["k", "n_mc_samples", "max_vi_iterations", "n_threads"]),
        (dm.l_learn, PAIR, ["k", "max_vi_iterations"]),
        (dm.train_alternating, (ENV,), ["k", "n_outer_iterations", "n_rollouts", "horizon"]),
        (dm.best_pair, (ENV,), ["k", "n_random_starts"]),
        (dm.exact_return, PAIR, ["k", "horizon"]),
        (dm.nash_gap, PAIR, ["k", "max_enumerated", "n_starts", "n_rollouts", "horizon"]),
        (dm.value_bound, (ENV,), ["m", "max_vectors", "horizon"]),
        (dm.robots, (), ["n_agents", "n_global_states"]),
        (dm.count_vectors, (), ["k", "n_states"]),
    ],
)
def test_numbers_that_no_table_can_hold_are_refused_in_our_words(
    function: Callable[..., Any], arguments: tuple[Any, ...], names: list[str]
) -> None:
    good = {"k": 2, "n_states": 2} if function is dm.count_vectors else {"k": 2} if "k" in names else {}
    for name in names:
        with pytest.raises(dm.DistmarlError, match=r"^\w[^:]*: must |at most"):
            function(*arguments, **{**good, name: 10**30})


def tables(**changes: Any) -> dm.Environment:
    return replace(ENV, **changes)


@pytest.mark.parametrize(
    ("bad", "got"),
    [
        (ENV.reward_global.astype(str), "text"),
        (ENV.reward_global * (1 + 0j), "complex numbers"),
        (ENV.reward_global.astype(str).astype(object), "an array of object"),
        (RAGGED, "lists of different lengths"),
        ([[10**400]], "a number that is too large"),
        ({"a": 1}, "dict"),
    ],
)
def test_arrays_of_anything_but_real_numbers_are_refused(bad: Any, got: str) -> None:
    for call in (
        lambda: tables(reward_global=bad),
        lambda: dm.g_learn(ENV, bad, k=2),
        lambda: dm.g_learn(ENV, UNIFORM, k=2, initial_value=bad),
        lambda: dm.estimate_mean(bad),
        lambda: dm.train_alternating(ENV, k=2, initial_local_policy=bad),
    ):
        with pytest.raises(dm.DistmarlError, match=f"must be .*, got {got}$"):
            call()


def test_lists_of_different_lengths_are_no_policy_and_no_count_vectors() -> None:
    for call in (lambda: dm.evaluate(ENV, RAGGED, UNIFORM, k=2), lambda: dm.rank(RAGGED)):
        with pytest.raises(dm.DistmarlError, match=r"must be integers .*, got lists of different lengths$"):
            call()


def thirds(dtype: type[np.floating[Any]]) -> Any:
    """Return rows as single precision has them, whose sum is not quite 1."""
    return np.array([0.1, 0.2, 0.7], dtype=np.float32).astype(dtype)


def test_rows_in_single_precision_are_normalised_in_double() -> None:
    rows = thirds(np.float64)
    assert 1e-9 < abs(rows.sum() - 1) < 1e-6
    game = tables(initial_global=thirds(np.float32), transition_local=ENV.transition_local.astype(np.float32))
    assert game.initial_global.tolist() == (rows / rows.sum()).tolist()
    np.testing.assert_allclose(game.transition_local.sum(axis=-1), 1.0, rtol=0, atol=4e-16)
    assert replace(game).digest() == game.digest()
    policy = np.tile(thirds(np.float32), (3, 3, 1))
    in_double = np.tile(rows / rows.sum(), (3, 3, 1))
    assert dm.evaluate(ENV, FOUND.policy, policy, k=2).mean == dm.evaluate(ENV, FOUND.policy, in_double, k=2).mean


def test_rows_that_were_in_single_precision_are_refused_with_the_remedy() -> None:
    remedy = "; divide each row by its sum, in double precision$"
    with pytest.raises(dm.DistmarlError, match=rf"^initial_global\[:\]: must sum to 1 within 1e-09, got .*{remedy}"):
        tables(initial_global=thirds(np.float64))
    with pytest.raises(dm.DistmarlError, match=rf"^local_policy\[0, 0\]: must sum to 1 within 1e-09, got .*{remedy}"):
        dm.evaluate(ENV, FOUND.policy, np.tile(thirds(np.float64), (3, 3, 1)), k=2)


def test_rows_in_single_precision_that_do_not_sum_to_1_are_refused() -> None:
    with pytest.raises(dm.DistmarlError, match=r"^initial_global\[:\]: must sum to 1 within 3.6e-07, got a sum of 1.0"):
        tables(initial_global=np.array([0.1, 0.2, 0.7001], dtype=np.float32))
