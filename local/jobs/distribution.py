"""A distributed step is as many processes as it asks for, each with the variables by which it knows its place.

Source: MicrosoftDocs/azure-ai-docs, how-to-train-distributed-gpu.md (PyTorch: MASTER_ADDR, MASTER_PORT, WORLD_SIZE,
NODE_RANK, RANK, LOCAL_RANK; MPI: OMPI_COMM_WORLD_*; TensorFlow: TF_CONFIG). All nodes are this machine.
"""

from __future__ import annotations

import json
import socket

from local.jobs.exceptions import not_emulated
from local.jobs.plan import Step

MOST_PROCESSES = 16
_KINDS = ("pytorch", "mpi", "tensorflow")


def check(step: Step, where: str) -> None:
    """ArmError 501 for what would have to be more than one process and could not be here."""
    kind = _kind(step)
    if kind and kind not in _KINDS:
        raise not_emulated(f"the distribution '{kind}' ({where})")
    if step.instances > 1 and not kind:
        raise not_emulated(f"{step.instances} instances without a distribution ({where})")
    if _count(step) > MOST_PROCESSES:
        raise not_emulated(f"{_count(step)} processes of one step ({where}), more than {MOST_PROCESSES}")


def places(step: Step) -> list[dict[str, str]]:
    """The variables of each process; one process without any where nothing is distributed."""
    kind, size = _kind(step), _count(step)
    if not kind:
        return [{}]
    ports = _free_ports(size)
    if kind == "tensorflow":
        return _tensorflow(step, ports)
    each_node = size // step.instances
    found = []
    for rank in range(size):
        node, local = divmod(rank, each_node)
        found.append(_place(kind, rank, size, node, local, each_node, ports[0]))
    return found


def _place(
    kind: str, rank: int, size: int, node: int, local: int, each_node: int, port: int
) -> dict[str, str]:
    master = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": str(node)}
    if kind == "pytorch":
        own = {"RANK": rank, "LOCAL_RANK": local, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": each_node}
    else:
        own = {
            "OMPI_COMM_WORLD_RANK": rank,
            "OMPI_COMM_WORLD_LOCAL_RANK": local,
            "OMPI_COMM_WORLD_SIZE": size,
            "OMPI_COMM_WORLD_LOCAL_SIZE": each_node,
        }
    return master | {name: str(value) for name, value in own.items()}


def _tensorflow(step: Step, ports: list[int]) -> list[dict[str, str]]:
    workers, servers = _workers(step), _servers(step)
    addresses = [f"127.0.0.1:{port}" for port in ports]
    cluster = {"worker": addresses[:workers], "ps": addresses[workers:]}
    tasks = [("worker", n) for n in range(workers)] + [("ps", n) for n in range(servers)]
    return [
        {
            "TF_CONFIG": json.dumps(
                {
                    "cluster": {name: each for name, each in cluster.items() if each},
                    "task": {"type": t, "index": n},
                }
            )
        }
        for t, n in tasks
    ]


def _kind(step: Step) -> str:
    found = step.distribution or {}
    return (
        str(found.get("distributiontype") or found.get("type") or "")
        .lower()
        .replace("tensor_flow", "tensorflow")
    )


def _count(step: Step) -> int:
    if _kind(step) == "tensorflow":
        return _workers(step) + _servers(step)
    each_node = int((step.distribution or {}).get("processcountperinstance") or 1)
    return step.instances * each_node if _kind(step) else 1


def _workers(step: Step) -> int:
    return int((step.distribution or {}).get("workercount") or step.instances)


def _servers(step: Step) -> int:
    return int((step.distribution or {}).get("parameterservercount") or 0)


def _free_ports(count: int) -> list[int]:
    """As many ports as nobody uses now; they are held together, so that no two are the same."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()
