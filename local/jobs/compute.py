"""Where a step may run: a cluster of the workspace, or serverless compute with an identity that it can use.

Sources: MicrosoftDocs/azure-ai-docs, how-to-use-serverless-compute.md ("Identity support and credential passthrough";
no system-assigned identity; quota by size), how-to-create-attach-compute-cluster.md (a cluster's maximum of nodes).
"""

from __future__ import annotations

from local.jobs import distribution, spark
from local.jobs.exceptions import invalid, not_found_compute
from local.jobs.plan import Plan, Step
from local.jobs.runs import Run
from local.settings import LOCATION, WORKSPACE_ID
from local.sizes import size_of
from local.state import Document, State

SERVERLESS = "serverless"
_KIND = "compute"
_DEFAULT = {"driftloop-cpu": {"size": "Standard_DS3_v2", "most_nodes": 4, "type": "AmlCompute"}}
"""What infra/ makes."""


def replace(state: State, computes: dict[str, Document]) -> None:
    """Make these the workspace's computes: name -> `size`, `least_nodes`, `most_nodes`."""
    for name, found in computes.items():
        if size_of(str(found.get("size"))) is None:
            raise invalid(f"The compute '{name}' has no size that the region knows: {found.get('size')!r}.")
        least, most = found.get("least_nodes", 0), found.get("most_nodes", 1)
        if not 0 <= least <= most:
            raise invalid(f"The compute '{name}' cannot keep {least} nodes of at most {most}.")
    with state.transaction():
        for key in state.keys(_KIND):
            state.delete(_KIND, key)
        state.put(_KIND, "", {"set": True})  # else the default ones would come back
        for name, found in computes.items():
            state.put(_KIND, name, {"most_nodes": 1, "type": "AmlCompute"} | found)


def all_of(state: State) -> list[Document]:
    return [_document(name, found) for name, found in _known(state).items()]


def get(state: State, name: str) -> Document:
    known = {each.lower(): (each, found) for each, found in _known(state).items()}
    if name.lower() not in known:
        raise not_found_compute(name)
    return _document(*known[name.lower()])


def check(state: State, plan: Plan, by_person: bool) -> None:
    """ArmError when a step could not run where it is sent."""
    for step in plan.steps.values():
        where = f"Step '{step.path}'" if step.path else "The job"
        if step.spec.get("type") == "spark":
            spark.check(step, where)
            _check_serverless(step, where, by_person)
            continue
        if step.instances < 1:
            raise invalid(f"{where} asks for {step.instances} instances; there must be at least 1.")
        if step.instance_type and size_of(step.instance_type) is None:
            raise invalid(
                f"{where} asks for the size '{step.instance_type}', which the region does not offer."
            )
        name = _name(step)
        if name.lower() in ("", SERVERLESS):
            _check_serverless(step, where, by_person)
        else:
            _check_nodes(step, where, get(state, name))
        distribution.check(step, where)


def of_run(state: State, run: Run) -> Document:
    """Where a run says that it ran, and what it asked for. What only waits for others asked for nothing; of serverless
    compute, a run tells no size (records of 2024 of an AutoML job and its trials, as people publish theirs:
    `"computeRequest": null` of the one, `"computeRequest": {"nodeCount": 1, "gpuCount": 0}` and `"compute": {"target":
    "Serverless", "vmSize": null, "instanceCount": 1}` of the others)."""
    if run.step is None:
        return {"target": None, "compute": None, "computeRequest": None}
    step = run.plan_step
    name = _name(step)
    place: Document = {"target": "Serverless", "targetType": "amlcompute", "vmSize": None}
    if name.lower() not in ("", SERVERLESS):
        known = {each.lower(): str(found["size"]) for each, found in _known(state).items()}
        place = {"target": name, "targetType": "AmlCompute", "vmSize": known.get(name.lower())}
    asked = None if run.kind == "sweep" else {"nodeCount": step.instances, "gpuCount": 0}
    return {
        "target": place["target"],
        "compute": place | {"instanceCount": step.instances},
        "computeRequest": asked,
    }


def identity_of(step: Step) -> str:
    """Which identity of infra/identities.yaml a step runs as; empty for a person's own."""
    if _name(step).lower() in ("", SERVERLESS):
        return "workspace" if step.identity == "managed" else ""
    return "compute"


def _name(step: Step) -> str:
    return step.compute.rpartition("/")[2].removeprefix("azureml:")


def _check_serverless(step: Step, where: str, by_person: bool) -> None:
    """A person's own credentials are passed through; an application has none that could be. Of a sweep in a pipeline
    azure-ai-ml does not send the identity (`Sweep._picked_fields_from_dict_to_rest_object`), so it is not asked for."""
    if by_person or step.identity == "managed" or step.sweep is not None:
        return
    raise invalid(
        f"{where} runs on serverless compute without an identity. An application submitted it, whose credentials "
        "are not passed through, and serverless compute does not support the workspace's system-assigned identity. "
        "Say `identity: {type: managed}` on each step: the workspace's user-assigned identity is then used."
    )


def _check_nodes(step: Step, where: str, compute: Document) -> None:
    most = compute["properties"]["properties"]["scaleSettings"]["maxNodeCount"]
    if step.instances > most:
        raise invalid(
            f"{where} asks for {step.instances} instances; the compute '{compute['name']}' has at most {most} nodes."
        )


def _known(state: State) -> dict[str, Document]:
    found = dict(state.items(_KIND))
    return {name: each for name, each in found.items() if name} if found else dict(_DEFAULT)


def _document(name: str, found: Document) -> Document:
    """As ARM answers it: an idle cluster has its least nodes."""
    least = found.get("least_nodes", 0)
    inner = {
        "vmSize": found["size"],
        "vmPriority": "Dedicated",
        "scaleSettings": {"minNodeCount": least, "maxNodeCount": found["most_nodes"]},
        "currentNodeCount": least,
        "targetNodeCount": least,
        "allocationState": "Steady",
    }
    return {
        "id": f"{WORKSPACE_ID}/computes/{name}",
        "name": name,
        "type": "Microsoft.MachineLearningServices/workspaces/computes",
        "location": LOCATION,
        "properties": {
            "computeType": found["type"],
            "computeLocation": LOCATION,
            "provisioningState": "Succeeded",
            "isAttachedCompute": False,
            "properties": inner,
        },
    }
