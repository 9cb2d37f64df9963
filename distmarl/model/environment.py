"""The game: four read-only tables, a population size, a discount and a start.

One step of the game, all from the state at time t: the global agent sees its
state ``s_g`` and k of the n local agents as a count vector z; it takes
``a_g = pi_g(s_g, z)``; every local agent draws ``a_i ~ pi_l(. | s_g, s_i)``; the system
earns ``r_g(s_g, a_g) + (1/n) sum_i r_l(s_i, s_g, a_i)``; then
``s_g' ~ P_g(. | s_g, a_g)`` and ``s_i' ~ P_l(. | s_i, s_g, a_i)``.
(Anand & Karmarkar, arXiv 2603.03759.)
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from distmarl.errors import InvalidEnvironmentError, shown
from distmarl.model.arrays import Array, Ints
from distmarl.model.checks import is_integer, is_number
from distmarl.model.random_streams import Seed
from distmarl.model.tables import AXES, as_table, checked_observation, checked_table, checked_types
from distmarl.model.tabulating import GameFunction, tables_of

DEFAULT_CONCENTRATION = 0.3
# numpy's hypergeometric sampler, which draws the k agents that are seen, takes fewer.
MAX_AGENTS = 10**9 - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Environment:
    """A game of one global agent and n identical local agents.

    The arrays are copied, checked and made read-only. Rows of probabilities may
    miss a sum of 1 by 1e-9; they are then divided by their sum, so that an
    expectation over k agents does not multiply the error. Rows of an array in single
    precision (float32) may miss it by the roundings of their entries, 1.2e-7 for each of
    them, and are divided by their sum in double precision. Complex numbers and text are refused.

    Parameters
    ----------
    transition_global : array_like, shape (G, A_g, G)
        ``P_g(s_g' | s_g, a_g)``.
    transition_local : array_like, shape (G, L, A_l, L)
        ``P_l(s_l' | s_l, s_g, a_l)`` at ``[s_g, s_l, a_l, s_l']``.
    reward_global : array_like, shape (G, A_g)
        ``r_g(s_g, a_g)``.
    reward_local : array_like, shape (G, L, A_l)
        ``r_l(s_l, s_g, a_l)`` at ``[s_g, s_l, a_l]``.
    n_agents : int
        Number of local agents, from 1 to 999,999,999.
    gamma : float
        Discount factor, 0 <= gamma < 1.
    initial_global : array_like, shape (G,), optional
        Distribution of the first global state; uniform by default.
    initial_local_concentration : array_like, shape (L,), optional
        Concentration of the Dirichlet distribution that the first population is
        drawn from; 0.3 for every local state by default.
    initial_shares : array_like, shape (M, L), optional
        Another start, in the place of the Dirichlet distribution: a mixture of M parts, each with the shares of the
        local states. One of them is drawn, and the first population is multinomial with its shares.
    initial_weights : array_like, shape (M,), optional
        Probability of each part; the same for all by default.
    observation : array_like of int, shape (L,), optional
        What the global agent sees of a local agent: the class, from 0 to B - 1, of each local state. By default
        every state is a class of its own.
    local_types : sequence of str, length L, optional
        Name of the type of agents that each local state belongs to, which figures tell apart (:func:`compose`).

    Raises
    ------
    InvalidEnvironmentError
        When a rule is broken; the message names the table, the index and the value.

    Examples
    --------
    Agents that stay where they are, and a global agent that goes where it wants, and had better be where they are:

    >>> import distmarl as dm
    >>> import numpy as np
    >>> here = np.eye(2)
    >>> dm.Environment(
    ...     transition_global=[here, here],
    ...     transition_local=[here[:, None], here[:, None]],
    ...     reward_global=np.zeros((2, 2)),
    ...     reward_local=here[:, :, None],
    ...     n_agents=10,
    ...     gamma=0.9,
    ... )
    Environment(G=2, L=2, A_g=2, A_l=1, n_agents=10, gamma=0.9)
    """

    transition_global: Array
    transition_local: Array
    reward_global: Array
    reward_local: Array
    n_agents: int
    gamma: float
    initial_global: Array = None  # type: ignore[assignment]  # filled in below
    initial_local_concentration: Array | None = None
    initial_shares: Array | None = None
    initial_weights: Array | None = None
    observation: Ints = None  # type: ignore[assignment]
    local_types: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_agents", _checked_n_agents(self.n_agents))
        object.__setattr__(self, "gamma", _checked_gamma(self.gamma))
        tolerances: dict[str, float] = {}
        for name in ("transition_global", "transition_local", "reward_global", "reward_local"):
            table, tolerances[name] = as_table(name, getattr(self, name))
            object.__setattr__(self, name, table)
        sizes = {"s_g": self.n_global_states, "s_l": self.n_local_states}
        sizes |= {"a_g": self.n_global_actions, "a_l": self.n_local_actions}
        self._fill_in_start(sizes)
        for name in [name for name in AXES if getattr(self, name) is not None]:
            if name not in tolerances:
                table, tolerances[name] = as_table(name, getattr(self, name))
                object.__setattr__(self, name, table)
            sizes.setdefault(AXES[name][0], len(getattr(self, name)))  # the parts of a mixture
            object.__setattr__(self, name, checked_table(name, getattr(self, name), tolerances[name], sizes))
        object.__setattr__(self, "observation", checked_observation(self.observation, sizes["s_l"]))
        object.__setattr__(self, "local_types", checked_types(self.local_types, sizes["s_l"]))

    def _fill_in_start(self, sizes: dict[str, int]) -> None:
        """Set what the start has by default; refuse two starts at once."""
        if self.initial_global is None:
            object.__setattr__(self, "initial_global", np.full(sizes["s_g"], 1.0 / sizes["s_g"]))
        if self.initial_shares is None:
            if self.initial_weights is not None:
                raise InvalidEnvironmentError("initial_weights: belongs to initial_shares; give both, or leave it out")
            if self.initial_local_concentration is None:
                object.__setattr__(self, "initial_local_concentration", np.full(sizes["s_l"], DEFAULT_CONCENTRATION))
            return
        if self.initial_local_concentration is not None:
            raise InvalidEnvironmentError(
                "initial_shares: takes the place of initial_local_concentration; leave one of them out"
            )
        if self.initial_weights is None:
            n_parts = len(as_table("initial_shares", self.initial_shares)[0])
            object.__setattr__(self, "initial_weights", np.full(n_parts, 1.0 / n_parts))

    def __reduce__(self) -> tuple[Any, ...]:
        # Copies and unpickled games are built anew, so that their tables are read-only, too.
        return _rebuilt, ({field.name: getattr(self, field.name) for field in fields(self)},)

    def __repr__(self) -> str:
        classes = "" if self.sees_states else f" in B={self.n_classes}"
        return (
            f"Environment(G={self.n_global_states}, L={self.n_local_states}{classes}, A_g={self.n_global_actions}, "
            f"A_l={self.n_local_actions}, n_agents={self.n_agents}, gamma={self.gamma})"
        )

    @classmethod
    def from_functions(
        cls,
        transition_global: GameFunction,
        transition_local: GameFunction,
        reward_global: GameFunction,
        reward_local: GameFunction,
        *,
        n_global_states: int,
        n_local_states: int,
        n_global_actions: int,
        n_local_actions: int,
        n_agents: int,
        gamma: float,
        initial_global: ArrayLike | None = None,
        initial_local_concentration: ArrayLike | None = None,
        initial_shares: ArrayLike | None = None,
        initial_weights: ArrayLike | None = None,
        observation: ArrayLike | None = None,
        n_samples: int | None = None,
        seed: Seed = 0,
    ) -> Environment:
        """Return the game whose tables are those of four functions of states and actions, which are numbers from 0.

        Parameters
        ----------
        transition_global : callable
            ``P_g(s_g, a_g)``: the probabilities of the G next global states.
        transition_local : callable
            ``P_l(s_l, s_g, a_l)``: the probabilities of the L next local states.
        reward_global : callable
            ``r_g(s_g, a_g)``: a number.
        reward_local : callable
            ``r_l(s_l, s_g, a_l)``: a number.
        n_global_states, n_local_states, n_global_actions, n_local_actions : int
            Sizes G, L, A_g and A_l.
        n_agents, gamma, initial_global, initial_local_concentration, initial_shares, initial_weights, observation
            As in :class:`Environment`.
        n_samples : int, optional
            Where transitions can only be sampled: they are called ``P_g(s_g, a_g, rng)`` and
            ``P_l(s_l, s_g, a_l, rng)``, with a generator of numpy, and return a state. So many are drawn for each
            entry; :func:`distmarl.sampling_error` bounds what that may be off.
        seed : int or sequence of int
            Root of the random streams of the samples.

        Raises
        ------
        InvalidEnvironmentError
            When a function returns something else, or a rule is broken; the message names the call.

        Examples
        --------
        Walkers that follow a leader with probability 0.8:

        >>> import distmarl as dm
        >>> import numpy as np
        >>> def follow(s_l, s_g, a_l):
        ...     return 0.2 * np.eye(3)[s_l] + 0.8 * np.eye(3)[s_g if a_l else s_l]
        >>> env = dm.Environment.from_functions(
        ...     lambda s_g, a_g: np.eye(3)[a_g],
        ...     follow,
        ...     lambda s_g, a_g: 0.0,
        ...     lambda s_l, s_g, a_l: float(s_l == s_g) - 0.1 * a_l,
        ...     n_global_states=3,
        ...     n_local_states=3,
        ...     n_global_actions=3,
        ...     n_local_actions=2,
        ...     n_agents=20,
        ...     gamma=0.9,
        ... )
        >>> env.transition_local[2, 0, 1]
        array([0.2, 0. , 0.8])
        """
        tables = tables_of(
            (transition_global, transition_local, reward_global, reward_local),
            global_sizes={"n_global_states": n_global_states, "n_global_actions": n_global_actions},
            local_sizes={"n_local_states": n_local_states, "n_local_actions": n_local_actions},
            n_samples=n_samples,
            seed=seed,
        )
        start: dict[str, Any] = {"initial_global": initial_global}
        start["initial_local_concentration"] = initial_local_concentration
        start |= {"initial_shares": initial_shares, "initial_weights": initial_weights}
        return cls(**tables, **start, observation=observation, n_agents=n_agents, gamma=gamma)  # type: ignore[arg-type]

    @property
    def n_global_states(self) -> int:
        """G, the number of global states."""
        return int(self.transition_global.shape[0])

    @property
    def n_local_states(self) -> int:
        """L, the number of local states."""
        return int(self.transition_local.shape[1])

    @property
    def n_global_actions(self) -> int:
        """A_g, the number of global actions."""
        return int(self.transition_global.shape[1])

    @property
    def n_local_actions(self) -> int:
        """A_l, the number of local actions."""
        return int(self.transition_local.shape[2])

    @property
    def n_classes(self) -> int:
        """B, the number of classes of local states that the global agent tells apart."""
        return int(self.observation.max()) + 1

    @property
    def sees_states(self) -> bool:
        """Whether the global agent sees the local states themselves: every one is a class of its own, in order."""
        return bool((self.observation == np.arange(self.n_local_states)).all())

    @property
    def initial_local_weights(self) -> Array:
        """How likely a local agent starts in each local state, up to a factor, shape (L,)."""
        if self.initial_local_concentration is not None:
            return self.initial_local_concentration
        return self.initial_weights @ self.initial_shares  # type: ignore[operator]  # one of both starts is there

    def observed(self, populations: Ints) -> Ints:
        """Return how many agents are in each class, from how many are in each local state, (..., L) to (..., B)."""
        if self.sees_states:
            return populations
        by_class = np.argsort(self.observation, kind="stable")
        first = np.searchsorted(self.observation[by_class], np.arange(self.n_classes))
        seen: Ints = np.add.reduceat(populations[..., by_class], first, axis=-1)
        return seen

    def with_states_seen(self) -> Environment:
        """Return the game whose global agent sees the local states themselves: this one, if it does."""
        if self.sees_states:
            return self
        return replace(self, observation=None)  # type: ignore[arg-type]

    def digest(self) -> str:
        """Return a hexadecimal SHA-256 digest of all that defines the game."""
        digest = hashlib.sha256(f"{self.n_agents} {self.gamma!r}".encode())
        tables = {name: getattr(self, name) for name in AXES}
        if not self.sees_states:
            tables["observation"] = self.observation
        for name, table in tables.items():
            if table is not None:
                digest.update(f"{name} {table.shape}".encode())
                digest.update(np.ascontiguousarray(table, dtype="<f8").tobytes())
        return digest.hexdigest()


def _rebuilt(tables: dict[str, Any]) -> Environment:
    return Environment(**tables)


def _checked_n_agents(value: Any) -> int:
    if not is_integer(value):
        raise InvalidEnvironmentError(f"n_agents: must be an integer, got {shown(value)}")
    if not 1 <= value <= MAX_AGENTS:
        raise InvalidEnvironmentError(f"n_agents: must be from 1 to {MAX_AGENTS:,}, got {value}")
    return int(value)


def _checked_gamma(value: Any) -> float:
    if not is_number(value):
        raise InvalidEnvironmentError(f"gamma: must be a number, got {shown(value)}")
    if not (math.isfinite(value) and 0 <= value < 1):
        raise InvalidEnvironmentError(f"gamma: must satisfy 0 <= gamma < 1, got {shown(value)}")
    return float(value)
