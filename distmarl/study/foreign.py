"""Pairs of policies from elsewhere: functions of a user's own, called before anything runs.

Like a user's game, they are called where the command is typed: workers get only arrays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from distmarl.config.checking import k_values
from distmarl.config.reading import RawSweep
from distmarl.errors import ConfigError, EnvironmentLookupError, InvalidArgumentError
from distmarl.games.lookup import describe_failure, import_function
from distmarl.model.arrays import Array, GlobalPolicy
from distmarl.model.environment import Environment
from distmarl.model.options import Experiment
from distmarl.model.policies import checked_global_policy, checked_local_policy

DIGEST_LENGTH = 12


@dataclass(frozen=True, slots=True, eq=False)
class ForeignPair:
    """A pair of policies, of which one may be missing: then the trained one takes its place.

    Attributes
    ----------
    global_policy : ndarray or None
        Actions, (G, C), or distributions, (G, C, A_g).
    local_policy : ndarray or None
        Distributions, (G, L, A_l).
    """

    global_policy: GlobalPolicy | None
    local_policy: Array | None

    @property
    def digest(self) -> str:
        """The start of a SHA-256 over both."""
        found = hashlib.sha256()
        for policy in (self.global_policy, self.local_policy):
            found.update(b"none" if policy is None else f"{policy.dtype.kind}{policy.shape}".encode())
            if policy is not None:
                found.update(policy.astype("<f8").tobytes())
        return found.hexdigest()[:DIGEST_LENGTH]


def foreign_pairs(raw: RawSweep, experiment: Experiment, env: Environment) -> dict[str, dict[int, ForeignPair]]:
    """Return the pairs of ``experiment.policies`` in a game, by name and by k.

    Raises
    ------
    ConfigError
        When a function cannot be found, raises, or returns something else than a pair of policies.
    """
    pairs: dict[str, dict[int, ForeignPair]] = {}
    for name, function_name in experiment.policies.items():
        key = f"{raw.place(('experiment', 'policies', name))}: experiment.policies.{name}"
        function = _found(function_name, key)
        pairs[name] = {k: _pair(function, env, k, f"{key}: {function_name}(env, {k})") for k in k_values(experiment)}
    return pairs


def _found(name: str, key: str) -> Callable[..., Any]:
    """Return the function that a name stands for."""
    module_name, colon, function_name = name.partition(":")
    if not (module_name and colon and function_name):
        raise ConfigError(f"{key}: must be 'package.module:function', got {name!r}")
    try:
        return import_function(module_name, function_name, lambda: key)
    except EnvironmentLookupError as error:
        raise ConfigError(str(error)) from error


def _pair(function: Callable[..., Any], env: Environment, k: int, call: str) -> ForeignPair:
    """Return what a function makes of a game and k."""
    try:
        returned = function(env, k)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{call} {describe_failure(error)}") from error
    rule = "must return a pair (global_policy, local_policy), of which one may be None"
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise ConfigError(f"{call}: {rule}, got {_in_short(returned)}")
    ours, theirs = returned
    if ours is None and theirs is None:
        raise ConfigError(f"{call}: {rule}, got None for both")
    try:
        return ForeignPair(
            None if ours is None else checked_global_policy(env, ours, k),
            None if theirs is None else checked_local_policy(env, theirs),
        )
    except InvalidArgumentError as error:
        raise ConfigError(f"{call}: {error}") from error


def _in_short(value: Any) -> str:
    return f"{len(value)} values" if isinstance(value, (tuple, list)) else type(value).__name__


def digests(policies: Mapping[str, Mapping[int, ForeignPair]]) -> dict[tuple[str, int], str]:
    """Return the digest of each pair, by name and k."""
    return {(name, k): pair.digest for name, of_name in policies.items() for k, pair in of_name.items()}
