"""Tables of action values that are learnt from samples, with step sizes by visits."""

from __future__ import annotations

import numpy as np

from distmarl.model.arrays import Array, Ints


class QTable:
    """Q of S situations and A actions, and how often each was tried.

    An entry that was tried c times in a batch, and N times in all by then, moves to the mean of the batch's targets by
    the step 1 / (1 + (1 - gamma) N / c): for batches of one, the rescaled linear step sizes of Q-learning.

    Parameters
    ----------
    n_situations, n_actions : int
        S and A.
    gamma : float
        Discount factor.
    """

    def __init__(self, n_situations: int, n_actions: int, gamma: float) -> None:
        self._gamma = gamma
        self.values = np.zeros((n_situations, n_actions))
        self.visits = np.zeros((n_situations, n_actions), dtype=np.int64)

    def explored_law(self, situations: Ints, epsilon: float) -> Array:
        """Return the law of an epsilon-greedy action in each of some situations, (R, A).

        What was met N times is explored with probability 1 / sqrt(N + 1), and with ``epsilon`` at least.
        """
        values, visits = self.values[situations], self.visits[situations].sum(axis=1)
        share = np.maximum(epsilon, 1.0 / np.sqrt(visits + 1.0))
        law = np.repeat(share[:, None] / values.shape[1], values.shape[1], axis=1)
        law[np.arange(len(law)), values.argmax(axis=1)] += 1.0 - share
        return law

    def learn(self, situations: Ints, actions: Ints, targets: Array, weights: Ints | None = None) -> None:
        """Move entries to the mean of their targets.

        Parameters
        ----------
        situations, actions : ndarray of int, shape (R,)
            Which entries; one may occur several times.
        targets : ndarray, shape (R,)
            A sample of what each is worth, or the mean of several.
        weights : ndarray of int, shape (R,), optional
            How many samples each stands for; one by default.
        """
        entries, place = np.unique(situations * self.values.shape[1] + actions, return_inverse=True)
        numbers = np.ones(len(targets)) if weights is None else weights.astype(np.float64)
        n_tried = np.bincount(place, weights=numbers)
        mean = np.bincount(place, weights=targets * numbers) / n_tried
        values, visits = self.values.reshape(-1), self.visits.reshape(-1)
        visits[entries] += n_tried.astype(np.int64)
        step = 1.0 / (1.0 + (1.0 - self._gamma) * visits[entries] / n_tried)
        values[entries] += step * (mean - values[entries])

    def greedy(self, coarse: Ints) -> Ints:
        """Return the best action that was tried in each situation, (S,), the lowest of equally good ones.

        Parameters
        ----------
        coarse : ndarray of int, shape (S,)
            A group of each situation. Where nothing was tried, the action is the best of the group: by the mean of its
            values, each as often as it was tried. Where nothing was tried in the group either, it is action 0.
        """
        n_groups = int(coarse.max()) + 1
        n_tried, sums = (np.zeros((n_groups, self.values.shape[1])) for _ in range(2))
        np.add.at(n_tried, coarse, self.visits)
        np.add.at(sums, coarse, self.visits * self.values)
        means = np.where(n_tried > 0, sums / np.maximum(n_tried, 1), -np.inf)
        own = np.where(self.visits > 0, self.values, -np.inf)
        is_new = ~(self.visits > 0).any(axis=1)
        own[is_new] = means[coarse[is_new]]
        actions: Ints = own.argmax(axis=1)
        return actions
