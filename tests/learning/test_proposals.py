from __future__ import annotations

import dataclasses
import math
from collections import Counter

import numpy as np
import pytest

from tests.learning.scripts import Game, Script


def outcomes(values, **options):
    return [proposal.outcome for proposal in Script(values).run(**options)]


# Pairs, on scripted values.


def test_each_proposal_answers_the_one_before_and_starts_from_its_value():
    script = Script([10.0, 12.0, 14.0])
    script.run(n_outer_iterations=3)
    assert script.given == [(-1.0, None), (0.5, np.array(100)), (1.5, np.array(101))]


def test_a_settled_value_stops_the_alternation():
    history = outcomes([10.0, 12.0, 12.1, 99.0])
    assert [outcome.stopped_because for outcome in history] == [None, None, "converged"]
    assert all(outcome.accepted for outcome in history)


def test_changes_are_relative_to_the_value_before():
    history = outcomes([10.0, 12.0, 11.9, 99.0], convergence_rtol=0.005)
    assert math.isnan(history[0].relative_change)
    assert [outcome.relative_change for outcome in history[1:3]] == pytest.approx([0.2, -0.1 / 12])


def test_changes_of_negative_values_are_relative_to_their_size():
    history = outcomes([-10.0, -8.0, -8.01])
    assert [outcome.relative_change for outcome in history[1:]] == pytest.approx([0.2, -0.00125])
    assert history[-1].stopped_because == "converged"


def test_values_of_zero_do_not_divide_by_zero():
    assert [outcome.stopped_because for outcome in outcomes([0.0, 0.0])] == [None, "converged"]
    assert outcomes([0.0, 5.0], n_outer_iterations=2)[-1].stopped_because == "n_outer_iterations"


def test_a_clear_loss_is_rejected_and_ends_the_alternation():
    history = outcomes([10.0, 8.0, 99.0])
    assert [outcome.accepted for outcome in history] == [True, False]
    assert history[-1].stopped_because == "reverted"


def test_losses_are_against_the_best_value_and_changes_against_the_last():
    # A loss of exactly the tolerance is accepted and settles nothing; only then do best and last differ.
    history = outcomes([8.0, 4.0, 3.0, 99.0], convergence_rtol=0.5)
    assert [outcome.accepted for outcome in history] == [True, True, False]
    assert [outcome.relative_change for outcome in history[1:]] == [-0.5, -0.25]
    assert history[-1].stopped_because == "reverted"


def test_a_small_loss_is_accepted_and_a_rejected_last_pair_is_reported():
    history = outcomes([100.0, 120.0, 119.0], convergence_rtol=0.01, n_outer_iterations=3)
    assert (history[-1].accepted, history[-1].stopped_because) == (True, "converged")
    history = outcomes([100.0, 120.0, 90.0], convergence_rtol=0.01, n_outer_iterations=3)
    assert (history[-1].accepted, history[-1].stopped_because) == (False, "reverted")


def test_losses_of_negative_values_are_losses():
    assert [outcome.accepted for outcome in outcomes([-10.0, -12.0])] == [True, False]


def test_iterations_that_are_used_up_are_the_reason():
    history = outcomes([1.0, 2.0, 3.0, 4.0], n_outer_iterations=3)
    assert [outcome.stopped_because for outcome in history] == [None, None, "n_outer_iterations"]
    assert [outcome.iteration for outcome in history] == [0, 1, 2]


def test_a_single_iteration_is_accepted_whatever_it_is_worth():
    (outcome,) = outcomes([-5.0], n_outer_iterations=1)
    assert (outcome.accepted, outcome.stopped_because, outcome.joint_value) == (True, "n_outer_iterations", -5.0)


def test_certificates_of_both_responses_are_recorded():
    second = outcomes([1.0, 2.0], n_outer_iterations=2)[1]
    assert (second.global_n_iterations, second.global_bound, second.global_converged) == (11, 1e-7, True)
    assert (second.local_n_iterations, second.local_bound, second.local_converged) == (21, 1e-8, False)
    assert (second.n_recurrent_classes, second.mean_field_period) == (2, 3)


# Pairs that come again.


def test_a_pair_that_proposes_itself_has_converged_whatever_the_tolerance():
    history = [proposal.outcome for proposal in Game([0, 0], [[1, 1]], [[3.0, 5.0]]).run("pair")]
    assert [outcome.stopped_because for outcome in history] == [None, "converged"]
    assert history[-1].accepted


@pytest.mark.parametrize(
    ("values", "accepted"),
    [
        ([5.0, 5.0], [True, True, True]),  # a tie, which would go round for ever
        ([5.0, 6.0], [True, True, False]),  # best responses that end where they began
    ],
)
def test_a_pair_that_was_proposed_before_is_a_cycle(values, accepted):
    # Local policies 1 and 2 call for global policies 0 and 1, which call for local policies 2 and 1.
    game = Game([1, 0, 1], [[2, 2, 2], [1, 1, 1]], [[0, 0, values[1]], [0, values[0], 0]])
    proposals = game.run("pair")
    assert [(int(p.global_policy), int(p.local_policy)) for p in proposals] == [(1, 1), (0, 2), (1, 1)]
    assert [p.outcome.accepted for p in proposals] == accepted
    assert [p.outcome.stopped_because for p in proposals] == [None, None, "cycle"]


def test_pairs_with_one_policy_in_common_are_not_equal():
    same_global = Game([0, 0, 0, 0], [[1, 2, 3, 3]], [[0, 1, 2, 3]])
    assert [p.outcome.stopped_because for p in same_global.run("pair")] == [None, None, None, "converged"]
    same_local = Game([0, 1], [[1, 1], [1, 1]], [[0, 1], [0, 2]])
    assert [p.outcome.stopped_because for p in same_local.run("pair")] == [None, None, "converged"]


def test_policies_that_differ_in_the_last_bit_differ():
    class Creeping(Game):
        def respond_locally(self, global_policy, local_policy):
            response = super().respond_locally(global_policy, 0)
            return dataclasses.replace(response, policy=np.nextafter(local_policy, 1.0))

    proposals = Creeping([0], [[0]], [[7.0]]).run("pair", n_outer_iterations=5)
    assert [p.outcome.stopped_because for p in proposals] == [None] * 4 + ["n_outer_iterations"]


# Proposals of single policies.


def each(game, **options):
    """Return the pairs that are measured, and (proposal, accepted, stopped_because) of each."""
    proposals = game.run("each", **options)
    pairs = [(int(p.global_policy), int(p.local_policy)) for p in proposals]
    outcomes = [p.outcome for p in proposals]
    return pairs, [(o.proposal, o.accepted, o.stopped_because) for o in outcomes]


def test_each_policy_is_measured_with_the_other_one_that_was_kept():
    game = Game([0, 1, 1], [[1, 1, 1], [2, 2, 2]], [[10, 20, 0], [0, 30, 40]])
    assert each(game, n_outer_iterations=2) == (
        [(0, 0), (0, 1), (1, 1), (1, 2)],
        [
            ("global", True, None),
            ("local", True, None),
            ("global", True, None),
            ("local", True, "n_outer_iterations"),
        ],
    )


def test_a_rejected_global_policy_leaves_the_local_agent_an_answer_to_the_kept_one():
    # L-LEARN reckons with the population, so local policy 2 may answer the same global policy.
    game = Game([0, 1, 0], [[1, 2, 2], [3, 3, 3]], [[10, 20, 30], [0, 15, 0]])
    assert each(game) == (
        [(0, 0), (0, 1), (1, 1), (0, 2), (0, 2), (0, 2)],
        [
            ("global", True, None),
            ("local", True, None),
            ("global", False, None),
            ("local", True, None),
            ("global", True, None),
            ("local", True, "converged"),
        ],
    )


def test_a_rejected_local_policy_ends_the_alternation():
    # The pair would lose (5 < 10) and be accepted as the first one; by itself the local policy is rejected.
    game = Game([0, 0], [[1, 1]], [[10, 5]])
    assert each(game) == ([(0, 0), (0, 1)], [("global", True, None), ("local", False, "reverted")])
    assert [p.outcome.stopped_because for p in game.run("pair")] == [None, "converged"]


def test_a_round_that_keeps_nothing_new_ends_the_alternation():
    # Local policy 1 answers itself, and the global policy that answers it is rejected.
    game = Game([0, 1], [[1, 1], [0, 0]], [[10, 20], [0, 15]])
    pairs, outcomes = each(game, convergence_rtol=0.1)
    assert pairs == [(0, 0), (0, 1), (1, 1), (0, 1)]
    assert outcomes[2:] == [("global", False, None), ("local", True, "reverted")]


def test_changes_are_from_round_to_round():
    game = Game([0, 1, 1], [[1, 1, 1], [2, 2, 2]], [[10, 20, 0], [0, 30, 20.1]])
    history = [p.outcome for p in game.run("each", convergence_rtol=0.4)]
    assert [math.isnan(outcome.relative_change) for outcome in history] == [True, True, False, False]
    assert [outcome.relative_change for outcome in history[2:]] == pytest.approx([0.5, 0.005])
    assert [outcome.stopped_because for outcome in history] == [None, None, None, "converged"]


def test_tied_policies_that_follow_each_other_are_a_cycle_for_each_too():
    game = Game([1, 0, 1], [[2, 2, 2], [1, 1, 1]], [[7, 7, 7], [7, 7, 7]])
    assert each(game)[1][-1] == ("local", True, "cycle")
    assert each(game)[0] == [(1, 0), (1, 1), (0, 1), (0, 2), (1, 2), (1, 1)]


def test_certificates_are_those_of_the_policies_that_are_new():
    globally, locally, *_ = (p.outcome for p in Game([0, 0], [[1, 1]], [[1, 2]]).run("each"))
    assert (globally.global_n_iterations, globally.global_bound, globally.global_converged) == (10, 1e-7, True)
    assert (globally.local_n_iterations, globally.local_bound, globally.local_converged) == (None, None, None)
    assert (globally.n_recurrent_classes, globally.mean_field_period) == (None, None)
    assert (locally.global_n_iterations, locally.global_bound, locally.global_converged) == (None, None, None)
    assert (locally.local_n_iterations, locally.local_bound, locally.local_converged) == (20, 1e-8, False)
    assert (locally.n_recurrent_classes, locally.mean_field_period) == (2, 3)


# Nothing is missed by stopping.


@pytest.mark.parametrize("convergence_rtol", [0.0, 0.3])
@pytest.mark.parametrize("update", ["pair", "each"])
def test_rounds_after_the_end_would_bring_nothing_new(update, convergence_rtol):
    rng = np.random.default_rng(0)
    reasons = Counter()
    for _ in range(2000):
        n_global, n_local = rng.integers(1, 5, size=2)
        game = Game(
            rng.integers(n_global, size=n_local).tolist(),
            rng.integers(n_local, size=(n_global, n_local)).tolist(),
            rng.choice([0, 5, 6, 7, 8, 9, 10], size=(n_global, n_local)).tolist(),
        )
        proposals = game.run(update, convergence_rtol=convergence_rtol)
        last = proposals[-1].outcome
        n_rounds = last.iteration + 1
        kept, best_value = game.run_on(update, n_rounds + 30, convergence_rtol)
        reasons[last.stopped_because] += 1
        if last.stopped_because != "converged" or convergence_rtol == 0:  # else the value settled, and may go on
            assert max(p.outcome.joint_value for p in proposals) == best_value
            # The pairs that are kept from now on are those that were kept before.
            assert set(kept) == set(kept[:n_rounds])
        if last.stopped_because == "reverted":
            assert len(set(kept[n_rounds - 1 :])) == 1
    assert set(reasons) == {"converged", "reverted", "cycle"}
    assert min(reasons.values()) > 10
