"""A game checked: what exact transitions can do, its symmetries, where best responses end, what a sweep costs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from rich.console import Console

from distmarl.config.environments import BuiltEnvironment
from distmarl.config.reading import RawSweep
from distmarl.dynamics.transitions.exact import largest_exact_k, precise_moves
from distmarl.errors import DistmarlError, InvalidArgumentError
from distmarl.examine.ends import MAX_STATES_FACTORED, find_ends
from distmarl.examine.symmetries import MAX_TRIED, find_symmetries
from distmarl.learning.aggregation import game_of_classes
from distmarl.learning.g_learn import explore
from distmarl.model.arrays import Array
from distmarl.model.counts import n_count_vectors
from distmarl.model.environment import Environment
from distmarl.model.options import DEFAULT_K_RANGE, GlobalAgent
from distmarl.model.policies import local_kernel, local_reward, uniform_local_policy
from distmarl.study.plan import make_plan
from distmarl.sweep.estimates.costs import estimate_costs
from distmarl.sweep.estimates.machine import machine_cores
from distmarl.sweep.progress.plan_text import print_costs, print_pair
from distmarl.wording import counted

MAX_SYMMETRIES_SHOWN = 3
MAX_COUNT_VECTORS = 10**6


def print_check(raw: RawSweep, built: BuiltEnvironment, output: Console) -> None:
    """Print what is known of a game, which is right so far: its tables have been checked.

    Parameters
    ----------
    raw : RawSweep
        A sweep of the game and nothing else.
    built : BuiltEnvironment
        The game.
    output : Console
        Where to print.
    """
    env = built.environment
    print_pair(output, "game", repr(env))
    right = "right: shapes fit, all numbers are finite, and every row of probabilities sums to 1"
    print_pair(output, "tables", right)
    # Each line comes when it is known: what follows may take long.
    for name, text in itertools.chain(_of_kernels(env), _of_symmetries(env), _of_ends(env)):
        print_pair(output, name, text)
    k_range = [DEFAULT_K_RANGE[0], _largest_k(env)]
    plan = make_plan(RawSweep({**raw.mapping, "experiment": {"k_range": k_range}}, raw.source, origins=raw.origins))
    pending = plan.pending(None)
    print_pair(output, "cost", f"of a sweep over k = {k_range[0]} to {k_range[1]} with the defaults for the rest:")
    n_cpus, where = machine_cores()
    try:
        costs = estimate_costs(plan, None, pending)
    except DistmarlError as error:  # what cannot be done is part of the answer
        print_pair(output, "", f"not known: {error}")
        return
    print_costs(plan, pending, costs, output, n_cpus=n_cpus, where=where)


def _largest_k(env: Environment) -> int:
    """Return the largest k of the sweep whose cost is told: the default one, or what a laptop can do."""
    k, most = DEFAULT_K_RANGE[0], min(DEFAULT_K_RANGE[1], env.n_agents)
    while k < most and n_count_vectors(k + 1, env.n_classes) <= MAX_COUNT_VECTORS:
        k += 1
    return k


def _of_kernels(env: Environment) -> Iterator[tuple[str, str]]:
    """Yield how much precision exact transitions lose, and for how many agents they can do."""
    states = "local states" if env.sees_states else "classes of local states"
    if env.n_classes > MAX_STATES_FACTORED:
        yield "kernels", f"not factored, as there are more than {MAX_STATES_FACTORED} {states}"
        return
    moves = "exact transitions" if env.sees_states else "exact transitions between classes"
    yield "kernels", f"rounding errors of {moves} grow at most by this factor with each agent:"
    largest = []
    for name, policy in _policies(env):
        seen, seen_policy = _game_that_is_seen(env, policy)
        kernel = local_kernel(seen, seen_policy)
        amplifications = [precise_moves(matrix, 1).amplification for matrix in kernel]
        s_g = int(np.argmax(amplifications))
        tolerance = GlobalAgent.convergence_threshold
        k = largest_exact_k(seen, kernel, local_reward(seen, seen_policy), tolerance=tolerance)
        largest.append(k)
        yield "", f"{_amplification(amplifications[s_g])} with {name}, the most at s_g={s_g}"
    k = min(largest)
    limit = "all of them" if k == env.n_agents else f"of {env.n_agents:,}"
    remedy = "" if k == env.n_agents else "; transitions: sampled has no such limit"
    threshold = f"convergence_threshold {GlobalAgent.convergence_threshold:g}"
    yield "exact", f"transitions: exact can do up to k = {k:,} agents ({limit}) to {threshold}{remedy}"


def _game_that_is_seen(env: Environment, local_policy: Array) -> tuple[Environment, Array]:
    """Return the game that G-LEARN solves, of classes where the global agent sees those, and the policy in it.

    The weights within classes are those for all agents. For few they differ, but so few always have dense transitions.
    """
    if env.sees_states:
        return env, local_policy
    occupancy, _ = explore(env, local_policy, k=env.n_agents)
    return game_of_classes(env, local_policy, occupancy)


def _policies(env: Environment) -> Iterator[tuple[str, Array]]:
    """Yield the local policies whose kernels are looked at, with their names."""
    yield "the uniform local policy", uniform_local_policy(env)
    for action in range(env.n_local_actions) if env.n_local_actions > 1 else ():
        policy = np.zeros((env.n_global_states, env.n_local_states, env.n_local_actions))
        policy[:, :, action] = 1.0
        yield f"a_l={action} always", policy


def _amplification(value: float) -> str:
    return f"{value:.3f}" if np.isfinite(value) else "without limit (no factors were found)"


def _of_symmetries(env: Environment) -> Iterator[tuple[str, str]]:
    """Yield the symmetries, or why they are not known."""
    found = find_symmetries(env)
    if found is None:
        yield "symmetry", f"not looked for, as there are more than {MAX_TRIED:,} ways to rename the states"
        return
    others = [each for each in found if not each.is_identity]
    if not others:
        yield "symmetry", "none: no other names of the states make the same game"
        return
    yield "symmetry", f"{counted(len(others), 'way')} of renaming the states that change nothing, with suitable actions"
    for each in others[:MAX_SYMMETRIES_SHOWN]:
        yield "", f"s_g to {_names(each.global_states)}, s_l to {_names(each.local_states)}"
    if len(others) > MAX_SYMMETRIES_SHOWN:
        yield "", f"and {len(others) - MAX_SYMMETRIES_SHOWN} more"


def _names(names: tuple[int, ...]) -> str:
    return " ".join(map(str, names))


def _of_ends(env: Environment) -> Iterator[tuple[str, str]]:
    """Yield where the alternations end."""
    try:
        found = find_ends(env)
    except InvalidArgumentError as error:
        yield "ends", f"not known: {error}"
        return
    if found is None:
        yield "ends", "not looked for, as exact returns would take too long"
        return
    where = f"with {counted(found.n_agents, 'agent')} of which {found.k} are seen"
    n_starts = sum(len(end.starts) for end in found.ends)
    ends = "all lead to pairs worth the same" if len(found.ends) == 1 else f"lead to {len(found.ends)} different ends"
    yield "ends", f"{n_starts} starts of an alternation of exact best responses, {where}, {ends}"
    for end in found.ends:
        yield "", f"{end.value:.4g} from {', '.join(end.starts)}"
    if len(found.ends) > 1:
        yield "", "where a sweep ends depends on where it starts: see alternating.starts"
