"""Sampled transitions: the empirical Bellman operator of the paper.

The m draws of every count vector use common random numbers. For each global
state, sample and local state j, k agents in j draw their next state once; the
successor of z sums the first ``z_j`` of them over j. Different count vectors share
draws, but each of them sees m independent ones, and L·k·m categorical draws serve
all C vectors.

The successor is summed in packed form: the number of agents from each state on, side by side in the bits of one
integer. Adding agents is adding integers then, and a few tables turn the sum into a rank.
"""

from __future__ import annotations

import numpy as np

from distmarl.dynamics.transitions.base import SuccessorTransitions, TransitionRecord, successor_bytes
from distmarl.model.arrays import Array
from distmarl.model.checks import check_at_least_one
from distmarl.model.counts import PackedCounts, count_vectors
from distmarl.model.random_streams import Role, Seed, random_stream


def sampled_transitions(kernel: Array, *, k: int, n_mc_samples: int, seed: Seed) -> SuccessorTransitions:
    """Draw the successors of every count vector.

    Parameters
    ----------
    kernel : ndarray, shape (G, L, L)
        ``kernel[s_g, s_l, s_l']``, the local transitions under the local policy.
    k : int
        Number of agents in a count vector.
    n_mc_samples : int
        Number m of draws per count vector and global state.
    seed : int or sequence of int
        Root of the random stream. The same seed, k and m give the same uniform
        numbers whatever the kernel, so that policies are compared on common draws.

    Notes
    -----
    Takes 4·G·m·C bytes: 190 MB at G = L = 5, k = 50, m = 30.
    """
    check_at_least_one(n_mc_samples=n_mc_samples)
    n_global_states, n_states, _ = kernel.shape
    uniforms = random_stream(seed, Role.SAMPLED_TRANSITIONS, k).random((n_global_states, n_mc_samples, n_states, k))
    counts, packed = np.ascontiguousarray(count_vectors(k, n_states).T), PackedCounts(k, n_states)
    upper_edges = np.cumsum(kernel, axis=-1)[..., :-1]
    successors = np.empty((n_global_states, n_mc_samples, counts.shape[1]), dtype=np.int32)
    for s_g in range(n_global_states):
        for sample in range(n_mc_samples):
            drawn = (uniforms[s_g, sample, :, :, None] >= upper_edges[s_g, :, None, :]).sum(axis=-1)
            successors[s_g, sample] = packed.rank_of_sums(drawn, counts)
    return SuccessorTransitions(successors)


SAMPLED = TransitionRecord(
    name="sampled",
    meaning="the mean over n_mc_samples draws of the next count vector",
    build=lambda _env, kernel, _reward, k, options, seed: sampled_transitions(
        kernel, k=k, n_mc_samples=options.n_mc_samples, seed=seed
    ),
    n_bytes=lambda env, k, options: successor_bytes(env, k, options.n_mc_samples),
    n_arrays=1,
    n_operations=lambda _env, _k, options: float(options.n_mc_samples),
    per_kernel_s=lambda _env, _k: 7e-5,
    per_operation_s=0.87e-9,
    growth=0.11,
    n_sweeps=40,
    # Each of k agents in each local state draws once for all count vectors.
    n_samples=lambda env, k, options: env.n_global_states * options.n_mc_samples * env.n_local_states * k,
)
