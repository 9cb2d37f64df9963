"""The game as a learner meets it: draws of next states, counted, and what was earned on the way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from distmarl.dynamics.draws import draw_categorical
from distmarl.model.arrays import Array, Ints
from distmarl.model.environment import Environment


class Step(NamedTuple):
    """What happened in a step of R rollouts.

    Attributes
    ----------
    global_states : ndarray of int, shape (R,)
        Where the global agents arrived.
    moves : ndarray of int, shape (R, L, A_l, L)
        How many local agents of each state took which action and arrived where.
    global_rewards : ndarray, shape (R,)
        r_g.
    local_rewards : ndarray, shape (R,)
        Mean of r_l over the local agents.
    """

    global_states: Ints
    moves: Ints
    global_rewards: Array
    local_rewards: Array


class GenerativeModel:
    """Draws the next states of agents; a sample is one draw of one agent's next state.

    Parameters
    ----------
    env : Environment
        The game.
    rng : Generator
        Draws everything.
    """

    def __init__(self, env: Environment, rng: np.random.Generator) -> None:
        self._env, self._rng = env, rng
        self.n_samples = 0

    def step(self, s_g: Ints, populations: Ints, a_g: Ints, action_law: Array) -> Step:
        """Let all agents act and move.

        Parameters
        ----------
        s_g, populations, a_g : ndarray of int, shapes (R,), (R, L) and (R,)
            Global states, local agents in each state, global actions.
        action_law : ndarray, shape (R, L, A_l)
            Law of the local actions, which are drawn here: agents of one state are exchangeable, so one multinomial
            draw says how many of them act and move in each way.
        """
        env = self._env
        arrived = draw_categorical(env.transition_global[s_g, a_g], self._rng.random(len(s_g)))
        joint = action_law[..., None] * env.transition_local[s_g]
        ways = joint.reshape(*joint.shape[:2], -1)
        ways /= ways.sum(axis=-1, keepdims=True)
        moves = self._rng.multinomial(populations, ways).reshape(joint.shape)
        self.n_samples += len(s_g) + int(populations.sum())
        earned = np.einsum("rjam,rja->r", moves, env.reward_local[s_g]) / env.n_agents
        return Step(arrived, moves, env.reward_global[s_g, a_g], earned)
