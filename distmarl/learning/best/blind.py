"""Pairs whose global agent sees nobody: a(s_g), and what the local agents answer to it.

Such a global agent moves its state by P_g(s' | s_g, a(s_g)), whatever the population does. So a local agent faces an
MDP of its own on (s_g, s_l), its best answer is exact, and what the pair earns is what one agent earns that starts
as any of them does: E r_g + r_l along its path, the same for every number of agents.

The best pair of this kind is found by looking at every a(s_g) where these are few. Else the search begins with each
constant action and with ``stay``, the action that keeps the global state most often, and changes single entries,

    Q(s_g, a) = r_g(s_g, a) + gamma sum_{s'} P_g(s' | s_g, a) E[V(s', s_l')],   s_l drawn as it is found with s_g,

the most promising first, for as long as the pair with the new answer is worth more.

Values are solved for. Where there are more than :data:`MAX_SOLVED` states (s_g, s_l), they are iterated
(:mod:`distmarl.learning.best.one_agent`), to an error of about 1e-9 of themselves, which is certified, too; and the
search begins with the best of its starts alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidArgumentError
from distmarl.learning.best import one_agent
from distmarl.model.arrays import EPSILON, Array, Ints, read_only
from distmarl.model.environment import Environment
from distmarl.model.policies import checked_local_policy, local_kernel, local_reward
from distmarl.values.exact_return import ExactReturn
from distmarl.values.value_iteration import TIE_TOLERANCE

# Every a(s_g) is looked at where solving for all their answers takes at most so many multiply-adds.
MAX_ENUMERATED_WORK = 2e9
MAX_ENUMERATED = 20_000
# States (s_g, s_l) of the linear systems, at most; more take longer than iterating.
MAX_SOLVED = 1000
# A search takes about as long as solving for so many answers; one that iterates, as so many sweeps of one.
N_SEARCHED, N_SWEPT = 8, 200
# Numbers of the linear systems that are solved at once.
MAX_NUMBERS = 2**22


@dataclass(frozen=True, slots=True, eq=False)
class BlindPair:
    """The best pair found whose global agent sees nobody.

    Attributes
    ----------
    global_actions : ndarray of int, shape (G,)
        a(s_g).
    local_policy : ndarray, shape (G, L, A_l)
        The best answer to it, deterministic; ties go to the lowest action.
    worth : ExactReturn
        What the pair earns over all steps, with any number of agents.
    is_best : bool
        Whether every a(s_g) was looked at: there is no better pair of this kind, by more than rounding.
    """

    global_actions: Ints
    local_policy: Array = field(repr=False)
    worth: ExactReturn
    is_best: bool

    @property
    def value(self) -> float:
        """What the pair earns over all steps."""
        return self.worth.value


def blind_pair(env: Environment) -> BlindPair:
    """Return the best pair whose global agent sees nobody, or the best that a search finds.

    Notes
    -----
    Solving for an answer takes about (G·L)³ multiply-adds, in large games some hundred times G·L²·A_l, and there are
    A_g^G actions a(s_g). Where that is too much, a search takes their place (see the module).
    """
    n_global, n_actions = env.n_global_states, env.n_global_actions
    is_best = _is_enumerated(env)
    if is_best:
        every = np.indices((n_actions,) * n_global).reshape(n_global, -1).T
        actions = every[_first_of_the_best(_worths(env, every))]
    else:
        starts = simple_actions(env)
        if _is_large(env):
            starts = starts[_first_of_the_best(_worths(env, starts))][None]
        ends = [_climb(env, start) for start in starts]
        actions = ends[_first_of_the_best(_worths(env, np.stack(ends)))]
    policy = blind_answer(env, actions)
    return BlindPair(read_only(actions.copy()), read_only(policy), blind_return(env, actions, policy), is_best)


def blind_work(env: Environment) -> float:
    """Return about how many multiply-adds :func:`blind_pair` takes."""
    if _is_enumerated(env):
        return env.n_global_actions**env.n_global_states * _solving_work(env)
    if _is_large(env):
        return N_SWEPT * env.n_global_states * env.n_local_states**2 * env.n_local_actions
    return N_SEARCHED * _solving_work(env)


def _is_enumerated(env: Environment) -> bool:
    """Return whether the answers to all a(s_g) are solved for."""
    n_answers = env.n_global_actions**env.n_global_states
    return n_answers * _solving_work(env) <= MAX_ENUMERATED_WORK and n_answers <= MAX_ENUMERATED


def _solving_work(env: Environment) -> int:
    """Return how many multiply-adds an answer takes that is solved for."""
    return (env.n_global_states * env.n_local_states) ** 3


def simple_actions(env: Environment) -> Ints:
    """Return the actions a(s_g) that are simplest: every constant, then ``stay``; shape (A_g + 1, G)."""
    constant = np.repeat(np.arange(env.n_global_actions)[:, None], env.n_global_states, axis=1)
    stay = np.einsum("gag->ga", env.transition_global).argmax(axis=1)
    return np.concatenate([constant, stay[None]])


def blind_answer(env: Environment, global_actions: ArrayLike) -> Array:
    """Return a local agent's best answer to a(s_g), one-hot (G, L, A_l); ties go to the lowest action."""
    actions = _checked_actions(env, global_actions)
    values, bound = _answer_values(env, actions[None])
    (q,) = _action_values(env, actions[None], values)
    tolerance = 2 * bound + TIE_TOLERANCE * float(np.abs(q).max())
    return np.eye(env.n_local_actions)[np.argmax(q >= q.max(axis=-1, keepdims=True) - tolerance, axis=-1)]


def blind_return(
    env: Environment, global_actions: ArrayLike, local_policy: ArrayLike, *, horizon: int | None = None
) -> ExactReturn:
    """Return what a(s_g) and a local policy earn with any number of agents, over all steps or the first ``horizon``."""
    law = np.eye(env.n_global_actions)[_checked_actions(env, global_actions)]
    return law_return(env, law, checked_local_policy(env, local_policy), horizon=horizon)


def law_return(env: Environment, law: Array, local_policy: Array, *, horizon: int | None = None) -> ExactReturn:
    """Return what a law of the global action given s_g alone, (G, A_g), earns with a local policy, as above."""
    moves_global, kernel = np.einsum("ga,gah->gh", law, env.transition_global), local_kernel(env, local_policy)
    reward = (np.einsum("ga,ga->g", law, env.reward_global)[:, None] + local_reward(env, local_policy)).ravel()
    start = _start(env)
    if _is_large(env):
        return _iterated_return(env, moves_global, kernel, reward.reshape(kernel.shape[:2]), horizon)
    moves = _pair_moves(moves_global, kernel)
    largest, n_sums = float(np.abs(reward).max()), len(moves) + env.n_global_actions + env.n_local_actions + 4
    if horizon is None:
        value = np.linalg.solve(np.eye(len(moves)) - env.gamma * moves, reward)
        # Whatever the solver did: no value is further from the right one than the residual tells.
        residual = float(np.abs(reward + env.gamma * (moves @ value) - value).max())
        residual += n_sums * EPSILON * (largest + 2 * float(np.abs(value).max()))
        bound = residual / (1 - env.gamma)
    else:
        value, bound = np.zeros(len(moves)), 0.0
        for _ in range(horizon):
            value = reward + env.gamma * (moves @ value)
            bound = env.gamma * bound + n_sums * EPSILON * (largest + 2 * float(np.abs(value).max()))
    bound += n_sums * EPSILON * float(np.abs(value).max())
    return ExactReturn(float(start @ value), bound, horizon or 1)


def _is_large(env: Environment) -> bool:
    """Return whether values are iterated, and not solved for."""
    return env.n_global_states * env.n_local_states > MAX_SOLVED


def _iterated_return(
    env: Environment, moves_global: Array, kernel: Array, reward: Array, horizon: int | None
) -> ExactReturn:
    """Return what an agent earns that moves and is paid so, from the start."""
    if horizon is None:
        value, bound = one_agent.value_of(env, moves_global, kernel, reward)
    else:
        value, bound = one_agent.value_of_steps(env, moves_global, kernel, reward, horizon)
    bound += reward.size * EPSILON * float(np.abs(value).max())
    return ExactReturn(float(_start(env) @ value.ravel()), bound, horizon or 1)


def _climb(env: Environment, actions: Ints) -> Ints:
    """Change single entries of a(s_g), the most promising first, for as long as the pair becomes better."""
    (worth,) = _worths(env, actions[None])
    margin = 2 * one_agent.COARSE_ACCURACY * one_agent.largest_value(env) if _is_large(env) else 0.0
    while True:
        gains, value = _first_order_gains(env, actions)
        promising = [index for index in np.argsort(-gains, axis=None, kind="stable") if gains.flat[index] > 0]
        for index in promising:
            s_g, action = np.unravel_index(index, gains.shape)
            changed = actions.copy()
            changed[s_g] = action
            (proposed,) = _worths(env, changed[None], value)
            if proposed > worth + margin + TIE_TOLERANCE * (1 + abs(worth)):
                actions, worth = changed, proposed
                break
        else:
            return actions


def _first_order_gains(env: Environment, actions: Ints) -> tuple[Array, Array]:
    """Return d(s_g) (Q(s_g, a) - Q(s_g, a(s_g))), shape (G, A_g), under the local agents' present answer; and V."""
    n_global, n_local = env.n_global_states, env.n_local_states
    policy = blind_answer(env, actions)
    kernel, moves_global = local_kernel(env, policy), env.transition_global[np.arange(n_global), actions]
    size = n_global * n_local
    if _is_large(env):
        occupancy = one_agent.occupancy(env, moves_global, kernel, _start(env).reshape(n_global, n_local))
    else:
        moves = _pair_moves(moves_global, kernel)
        solved = np.linalg.solve(np.eye(size) - env.gamma * moves.T, _start(env))
        occupancy = np.asarray(solved).reshape(n_global, n_local)
    (value,), _ = _answer_values(env, actions[None])
    later = np.einsum("gl,glm,hm->gh", occupancy, kernel, value)
    q = occupancy.sum(axis=1)[:, None] * env.reward_global
    q += env.gamma * np.einsum("gah,gh->ga", env.transition_global, later)
    return q - q[np.arange(n_global), actions][:, None], value


def _worths(env: Environment, actions: Ints, near: Array | None = None) -> Array:
    """Return what each a(s_g) of several, (B, G), earns with the local agents' answer, shape (B,).

    Their values may be ``near`` others, (G, L), to iterate from.
    """
    size = env.n_global_states * env.n_local_states
    at_once = max(1, MAX_NUMBERS // size**2)
    parts = [actions[first : first + at_once] for first in range(0, len(actions), at_once)]
    start = _start(env).reshape(env.n_global_states, env.n_local_states)
    return np.concatenate(
        [np.einsum("bgl,gl->b", _answer_values(env, part, near, one_agent.COARSE_ACCURACY)[0], start) for part in parts]
    )


def _answer_values(
    env: Environment, actions: Ints, near: Array | None = None, accuracy: float = one_agent.ACCURACY
) -> tuple[Array, float]:
    """Return the value of the best answer to each a(s_g), (B, G) to (B, G, L), and its error, but for rounding."""
    if not _is_large(env):
        return _solved_values(env, actions), 0.0
    found = [one_agent.best_value(env, each, accuracy=accuracy, initial_value=near) for each in actions]
    return np.stack([value for value, _ in found]), max(bound for _, bound in found)


def _solved_values(env: Environment, actions: Ints) -> Array:
    """Return the same by policy iteration."""
    n_global, n_local = env.n_global_states, env.n_local_states
    size = n_global * n_local
    reward_global = env.reward_global[np.arange(n_global), actions][:, :, None]
    moves_global = env.transition_global[np.arange(n_global), actions]
    states = np.indices((n_global, n_local))
    chosen = np.broadcast_to(env.reward_local.argmax(axis=-1), (len(actions), n_global, n_local))
    while True:
        moves = np.einsum("bgh,bglm->bglhm", moves_global, env.transition_local[(*states, chosen)])
        reward = reward_global + env.reward_local[(*states, chosen)]
        system = np.eye(size) - env.gamma * moves.reshape(-1, size, size)
        value = np.linalg.solve(system, reward.reshape(-1, size, 1)).reshape(-1, n_global, n_local)
        q = _action_values(env, actions, value)
        present = np.take_along_axis(q, chosen[..., None], axis=-1)[..., 0]
        # By more than rounding, so that equally good actions do not take turns.
        better = q.max(axis=-1) > present + TIE_TOLERANCE * float(np.abs(q).max())
        if not better.any():
            return np.asarray(value)
        chosen = np.where(better, q.argmax(axis=-1), chosen)


def _action_values(env: Environment, actions: Ints, value: Array) -> Array:
    """Return a local agent's Q(s_g, s_l, a_l) for each a(s_g), (B, G, L, A_l), r_g included."""
    states = np.arange(env.n_global_states)
    later = np.einsum("bgh,bhm->bgm", env.transition_global[states, actions], value)
    q = env.gamma * np.einsum("glam,bgm->bgla", env.transition_local, later)
    q += env.reward_local + env.reward_global[states, actions][:, :, None, None]
    return np.asarray(q)


def _pair_moves(moves_global: Array, kernel: Array) -> Array:
    """Return how (s_g, s_l) moves, shape (G·L, G·L), from how each of them does."""
    size = kernel.shape[0] * kernel.shape[1]
    return np.einsum("gh,glm->glhm", moves_global, kernel).reshape(size, size)


def _start(env: Environment) -> Array:
    """Return where one agent and the global agent start, shape (G·L,)."""
    shares = env.initial_local_weights / env.initial_local_weights.sum()
    return np.outer(env.initial_global, shares).ravel()


def _first_of_the_best(worths: Array) -> int:
    """Return the first whose worth is the largest, up to rounding."""
    return int(np.argmax(worths >= worths.max() - TIE_TOLERANCE * (1 + float(np.abs(worths).max()))))


def _checked_actions(env: Environment, global_actions: ArrayLike) -> Ints:
    actions = np.asarray(global_actions)
    if actions.shape != (env.n_global_states,) or not np.issubdtype(actions.dtype, np.integer):
        raise InvalidArgumentError(
            f"global_actions: must be integers of shape (G,) = {(env.n_global_states,)}, got {actions.dtype} of shape "
            f"{actions.shape}"
        )
    if actions.min() < 0 or actions.max() >= env.n_global_actions:
        raise InvalidArgumentError(
            f"global_actions: must be in 0 .. {env.n_global_actions - 1}, got {actions.min()} .. {actions.max()}"
        )
    return actions.astype(np.int64)
