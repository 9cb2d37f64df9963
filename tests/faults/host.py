"""Hosts a Ray cluster of several nodes on this machine until its standard input ends.

    python -m tests.faults.host FOLDER NUMBER_OF_NODES CPUS_PER_NODE

Prints the address, then the process id of each node's raylet, a line each. A line of input adds a node. The head runs
no tasks.
"""

from __future__ import annotations

import sys

from ray.cluster_utils import Cluster

# A busy machine takes longer than half a minute to start a node.
Cluster._wait_for_node.__defaults__ = (300,)


def main() -> None:
    folder, n_nodes, n_cpus = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, "temp_dir": folder}
    )
    tell(cluster.address)
    # One after the other: nodes that start at the same time on one machine get into each other's way.
    for _ in range(n_nodes):
        add(cluster, n_cpus)
    for _ in sys.stdin:
        add(cluster, n_cpus)
    cluster.shutdown()


def add(cluster: Cluster, n_cpus: int) -> None:
    (raylet,) = cluster.add_node(num_cpus=n_cpus).all_processes["raylet"]
    tell(raylet.process.pid)


def tell(what: object) -> None:
    sys.stdout.write(f"host: {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
