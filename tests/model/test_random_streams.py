from __future__ import annotations

import itertools

import numpy as np
import pytest

from distmarl.errors import InvalidArgumentError
from distmarl.model.random_streams import Role, random_stream


def first_draw(seed, role=Role.EVALUATION, *key):
    return int(random_stream(seed, role, *key).bit_generator.random_raw())


def test_a_stream_is_the_same_wherever_and_whenever_it_is_opened():
    alone = random_stream(7, Role.EVALUATION, 1, 2).random(5)
    others = [random_stream(7, Role.EVALUATION, 1, key) for key in range(4)]
    others[3].random(100)
    np.testing.assert_array_equal(others[2].random(5), alone)


def test_seed_role_and_key_each_name_another_stream():
    names = [
        *itertools.product([0, 1, 2**40], Role, [(), (0,), (1,), (0, 0), (0, 1), (1, 0)]),
        *itertools.product([(0, 1), (1, 1), (1, 2), (2, 1)], Role, [(), (0,), (1,)]),
    ]
    draws = {first_draw(seed, role, *key) for seed, role, key in names}
    assert len(draws) == len(names)


def test_streams_are_not_correlated():
    draws = np.array([random_stream(0, Role.EVALUATION, key).random(4000) for key in range(6)])
    correlations = np.corrcoef(draws)[np.triu_indices(6, 1)]
    # 4 standard errors of a correlation of 0; a stream with itself is 63 away.
    assert np.abs(correlations).max() < 4 / np.sqrt(4000)


def test_numpy_integers_and_sequences_are_seeds():
    assert first_draw(np.int64(5)) == first_draw(5)
    assert first_draw([5, 6]) == first_draw((5, 6)) == first_draw(np.array([5, 6]))


def test_role_numbers_and_streams_never_change():
    # Stored results depend on these numbers.
    assert {role.name: role.value for role in Role}.items() >= {
        ("SAMPLED_TRANSITIONS", 0),
        ("JOINT_VALUE", 1),
        ("EVALUATION", 2),
    }
    assert first_draw(0, Role.EVALUATION, 0) == 15754139058054586196


@pytest.mark.parametrize("seed", [-1, (1, -1), (1, 2.0), True, (True,), "ab", ("a",), 1.5, None])
def test_seeds_that_are_not_natural_numbers_are_refused(seed):
    with pytest.raises(InvalidArgumentError, match=r"^seed: must be an integer of 0 or more, or several, got"):
        random_stream(seed, Role.EVALUATION)
