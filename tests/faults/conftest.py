"""A cluster of three nodes on this machine, shared by the tests of faults."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.faults.machinery import Cluster, cluster_of


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if sys.platform != "linux":
        pytest.skip("finds processes by /proc")
    with cluster_of(3, n_cpus=2) as started:
        yield started
