"""The table ``evaluations`` as points, a setting and k each, many of them at a time.

A loop over points costs some twenty microseconds for every mean; here, samples of one size are taken together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from distmarl.model.arrays import Array, Ints

# Which rows of ``evaluations`` count, by their k and their evaluation seeds.
IsWanted: TypeAlias = Callable[[Ints, Ints], NDArray[np.bool_]]

EVALUATION_COLUMNS = ("sweep", "setting_id", "k", "train_seed", "seed", "mode_accuracy", "returns")


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples of numbers, of any sizes.

    Attributes
    ----------
    numbers : ndarray
        The numbers of all, one sample after the other.
    sizes : ndarray
        How many each has.
    """

    numbers: Array
    sizes: Ints

    def runs(self, runs: slice) -> list[Array]:
        """Return some of the samples, one by one."""
        ends = np.cumsum(self.sizes)
        return [self.numbers[end - size : end] for end, size in zip(ends[runs], self.sizes[runs], strict=True)]

    def each(self, work: Callable[[Array], Array], n_results: int) -> Array:
        """Return what is made of each sample; NaN of empty ones.

        Parameters
        ----------
        work : callable
            Returns an array of shape (results, samples) for one of shape (samples, size).
        n_results : int
            How many results there are.
        """
        found = np.full((n_results, len(self.sizes)), np.nan)
        starts = np.cumsum(self.sizes) - self.sizes
        by_size = np.argsort(self.sizes, kind="stable")
        sizes, firsts = np.unique(self.sizes[by_size], return_index=True)
        for size, chosen in zip(sizes.tolist(), np.split(by_size, firsts[1:]), strict=True):
            if size:
                found[:, chosen] = work(self.numbers[starts[chosen, np.newaxis] + np.arange(size)])
        return found


@dataclass(frozen=True, slots=True, eq=False)
class ByTraining:
    """The trainings of some points, one point after the other.

    Attributes
    ----------
    train_seeds : ndarray
        The number of each.
    returns, seed_means, differences, accuracies : Samples
        A sample for each: what :class:`Points` has of a point.
    """

    train_seeds: Ints
    returns: Samples
    seed_means: Samples
    differences: Samples
    accuracies: Samples


@dataclass(frozen=True, eq=False)
class Points:
    """Whole points: all evaluations of each.

    Attributes
    ----------
    rows : pyarrow.Table
        The evaluations, sorted by their key, in one piece.
    n_known : int
        How many of the first points stand here only since the next is compared with them: one or none.
    """

    rows: pa.Table
    n_known: int

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def sweeps(self) -> list[str]:
        """The name of the sweep of each point's first evaluation."""
        return list(self.rows.column("sweep").take(pa.array(self._starts)).to_pylist())

    @cached_property
    def setting_ids(self) -> list[str]:
        """The setting of each point."""
        return list(self.rows.column("setting_id").take(pa.array(self._starts)).to_pylist())

    @cached_property
    def k(self) -> Ints:
        """The k of each point."""
        return self._ints("k")[self._starts]

    @cached_property
    def follows(self) -> list[bool]:
        """Whether each point is of the same setting as the one before."""
        return [False, *(one == other for one, other in zip(self.setting_ids, self.setting_ids[1:], strict=False))]

    @property
    def returns(self) -> Samples:
        """The returns of all rollouts of each point."""
        return Samples(self._returns.numbers, self._sums(self._returns.sizes))

    @property
    def seed_means(self) -> Samples:
        """The mean return of each evaluation seed."""
        return Samples(self._returns.each(lambda returns: returns.mean(axis=1)[np.newaxis], 1)[0], self._n_rows)

    @property
    def accuracies(self) -> Samples:
        """The mode accuracies that are known of each point."""
        column = self.rows.column("mode_accuracy")
        is_known = column.is_valid().to_numpy()
        return Samples(column.drop_null().to_numpy(), self._sums(is_known.astype(np.int64)))

    @property
    def differences(self) -> Samples:
        """What each point's returns are more than those of the same evaluation seeds of the point before."""
        differences, sizes = self._pairs
        return Samples(differences, self._sums(sizes))

    @cached_property
    def n_trainings(self) -> Ints:
        """How many trainings each point is about."""
        is_first = np.zeros(len(self.rows), dtype=np.int64)
        is_first[self._training_starts] = 1
        return self._sums(is_first)

    @property
    def by_training(self) -> ByTraining:
        """The same, of each training of each point by itself."""
        starts, returns = self._training_starts, self._returns
        differences, sizes = self._pairs
        column = self.rows.column("mode_accuracy")
        is_known = column.is_valid().to_numpy().astype(np.int64)
        return ByTraining(
            self._ints("train_seed")[starts],
            Samples(returns.numbers, np.add.reduceat(returns.sizes, starts)),
            Samples(self.seed_means.numbers, np.diff(starts, append=len(self.rows))),
            Samples(differences, np.add.reduceat(sizes, starts)),
            Samples(column.drop_null().to_numpy(), np.add.reduceat(is_known, starts)),
        )

    @cached_property
    def _pairs(self) -> tuple[Array, Ints]:
        """All differences between pairs, and of how many each row is."""
        of_row = np.repeat(np.arange(len(self)), self._n_rows)
        train_seeds, seeds, sizes = self._ints("train_seed"), self._ints("seed"), self._returns.sizes
        _, ranks = np.unique(train_seeds * (seeds.max() + 1) + seeds, return_inverse=True)
        names = of_row * (ranks.max() + 1) + ranks.ravel()  # increasing, since rows are sorted
        wanted = names - (ranks.max() + 1)  # of the same seed, of the point before
        partner = np.minimum(np.searchsorted(names, wanted), len(names) - 1)
        has_pair = np.array(self.follows)[of_row] & (names[partner] == wanted) & (sizes[partner] == sizes)
        starts = np.cumsum(sizes) - sizes
        after, before = (
            self._returns.numbers[_runs(starts[rows], sizes[rows])]
            for rows in (np.flatnonzero(has_pair), partner[has_pair])
        )
        return after - before, np.where(has_pair, sizes, 0)

    @cached_property
    def _starts(self) -> Ints:
        return point_starts(self.rows)

    @cached_property
    def _training_starts(self) -> Ints:
        """The first row of each training of each point."""
        numbers = self._ints("train_seed")
        is_first = np.ones(len(numbers), dtype=bool)
        is_first[1:] = numbers[1:] != numbers[:-1]
        is_first[self._starts] = True
        return np.flatnonzero(is_first)

    @cached_property
    def _n_rows(self) -> Ints:
        return np.diff(self._starts, append=len(self.rows))

    @cached_property
    def _returns(self) -> Samples:
        """The returns of each evaluation."""
        lists = self.rows.column("returns").combine_chunks()
        return Samples(
            lists.flatten().to_numpy(zero_copy_only=False), np.diff(lists.offsets.to_numpy()).astype(np.int64)
        )

    def _ints(self, name: str) -> Ints:
        return self.rows.column(name).to_numpy()

    def _sums(self, numbers: Ints) -> Ints:
        """Return the sum over the rows of each point."""
        return np.add.reduceat(numbers, self._starts)


def whole_points(
    chunks: Iterable[pa.Table], is_wanted: IsWanted | None, n_train_seeds: int | None = None
) -> Iterator[Points]:
    """Yield the points of a table in chunks, whole ones, each with the point before it.

    Parameters
    ----------
    chunks : iterable of pyarrow.Table
        The ``EVALUATION_COLUMNS`` of the table, sorted by its key.
    is_wanted : callable, optional
        Which rows count; all by default.
    n_train_seeds : int, optional
        How many trainings count, from the first on; all by default.
    """
    kept: list[pa.Table] = []  # the point that came last, which may go on, and before it one that has been yielded
    n_known = 0
    for chunk in chunks:
        wanted = chunk
        if is_wanted is not None:
            wanted = chunk.filter(pa.array(is_wanted(chunk.column("k").to_numpy(), chunk.column("seed").to_numpy())))
        if n_train_seeds is not None:
            wanted = wanted.filter(pc.less(wanted.column("train_seed"), n_train_seeds))
        if not len(wanted):
            continue
        ends = not kept or _place(kept[-1], -1) != _place(wanted, 0) or _place(wanted, 0) != _place(wanted, -1)
        kept.append(wanted)
        if ends:  # else it would be put together once more with every chunk of a long point
            rows = pa.concat_tables(kept).combine_chunks()
            starts = point_starts(rows)
            if len(starts) > 1 + n_known:
                yield Points(rows.slice(0, starts[-1]), n_known)
                rows, n_known = rows.slice(starts[-2]), 1
            kept = [rows]
    if kept:
        yield Points(pa.concat_tables(kept).combine_chunks(), n_known)


def point_starts(rows: pa.Table) -> Ints:
    """Return the first row of each setting and k of rows that are sorted by them."""
    if not len(rows):
        return np.empty(0, dtype=np.int64)
    names, k = rows.column("setting_id"), rows.column("k").to_numpy()
    is_first = np.ones(len(rows), dtype=bool)
    is_first[1:] = pc.not_equal(names.slice(1), names.slice(0, len(names) - 1)).to_numpy() | (k[1:] != k[:-1])
    return np.flatnonzero(is_first)


def _place(rows: pa.Table, row: int) -> tuple[Any, ...]:
    """Return the setting and k of a row."""
    return tuple(rows.column(name)[row].as_py() for name in ("setting_id", "k"))


def _runs(starts: Ints, sizes: Ints) -> Ints:
    """Return the places of runs of so many numbers, one after the other."""
    return np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
