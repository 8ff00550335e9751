"""Steps with a compute or a size of their own are told, and a job's hour that is reckoned too cheap."""

from __future__ import annotations

from pathlib import Path

from cli import step_machines
from cli.step_machines import Machine
from shared.loopfile.definition import Cost

PIPELINE = """
jobs:
  prepare: {component: prepare.yml}
  train: {component: train.yml, compute: "azureml:gpu-cluster"}
  tune: {type: sweep, trial: {resources: {instance_type: Standard_NC6s_v3}}, compute: serverless}
  score: {component: train.yml, resources: {instance_type: Standard_DS2_v2}}
"""


def test_each_steps_own_compute_and_size_win_over_its_components(tmp_path: Path) -> None:
    (tmp_path / "train.yml").write_text("resources: {instance_type: Standard_DS4_v2}")
    (tmp_path / "pipeline.yml").write_text(PIPELINE)
    assert step_machines.of(tmp_path / "pipeline.yml") == (
        Machine("train", "gpu-cluster", "Standard_DS4_v2"),
        Machine("tune", "", "Standard_NC6s_v3"),
        Machine("score", "", "Standard_DS2_v2"),
    )


def test_what_is_no_pipeline_has_no_steps(tmp_path: Path) -> None:
    (tmp_path / "pipeline.yml").write_text("not a pipeline: [")
    assert step_machines.of(tmp_path / "pipeline.yml") == step_machines.of(tmp_path / "none.yml") == ()


def test_a_dearer_step_is_told_and_a_cheaper_one_is_not() -> None:
    """Prices of East US: DS3 v2 0.293, NC6s v3 3.06, DS2 v2 0.146 USD an hour (shared/loopfile/prices.py)."""
    machines = (Machine("train", "", "Standard_NC6s_v3"), Machine("score", "pool", "Standard_DS2_v2"))
    told = list(step_machines.told(machines, Cost()))
    assert told[:2] == ["step train runs on a Standard_NC6s_v3", "step score runs on pool, a Standard_DS2_v2"]
    assert (
        len(told) == 3 and "reckoned as one of Standard_DS3_v2 (0.293 USD)" in told[2] and "3.06" in told[2]
    )
    odd = (Machine("t", "", "Standard_Odd"), Machine("u", "", "Standard_Odd"))
    (_, _, unpriced) = step_machines.told(odd, Cost())
    assert "Standard_Odd has no price" in unpriced, "once, not for each step"
