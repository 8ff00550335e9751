"""What the conda.yaml of a model without scoring code must ask for; the sources stand in shared/release/unaided.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.release.unaided import SERVES, look, to_add

ROOT = Path(__file__).parents[2]

MONITORING, MLFLOW = SERVES["azureml-ai-monitoring"], SERVES["mlflow"]


def conda(*lines: str, of_conda: tuple[str, ...] = ()) -> bytes:
    """JSON is YAML; a list's Python text is too."""
    return f"dependencies: {['python=3.11', *of_conda, {'pip': list(lines)}]}".encode()


@pytest.mark.parametrize(
    "asked",
    ["mlflow==2.16.2", "mlflow<3", "mlflow>=2.1,<3", "mlflow~=2.16", "mlflow-skinny==2.9", "MLflow[extras] ==2.22.0",
     "mlflow==3.6.0", "mlflow~=3.1.0", "mlflow<3.7", "mlflow<=3", "mlflow==2.* ; python_version > '3.8'"],
)  # fmt: skip
def test_an_mlflow_that_is_reported_to_serve(asked: str) -> None:
    assert to_add(conda(asked, "azureml_ai.monitoring")) == []


@pytest.mark.parametrize(
    "asked",
    ["mlflow", "mlflow==3.17.2", "mlflow>=2", "mlflow~=3.1", "mlflow<4", "mlflow<=3.7", "mlflow==3.*", "mlflow>2,!=3.0",
     "mlflow<3.7.1", "mlflow-extra==2.1", "mlflow @ https://example.org/mlflow-2.1.whl"],
)  # fmt: skip
def test_an_mlflow_that_nobody_reports_to_serve(asked: str) -> None:
    assert to_add(conda(asked, "azureml-ai-monitoring==1.0.0")) == [MLFLOW]


@pytest.mark.parametrize(
    ("document", "adds"),
    [
        (conda("mlflow==2.16.2"), [MONITORING]),
        (conda("mlflow==2.16.2", "azureml-ai-monitoring-extra"), [MONITORING]),
        (conda("pandas"), [MONITORING, MLFLOW]),
        (conda(of_conda=("conda-forge::mlflow=2.16", "azureml-ai-monitoring")), []),
        (conda("azureml-ai-monitoring", of_conda=("mlflow=3",)), [MLFLOW]),
        (b"dependencies: [pip]", [MONITORING, MLFLOW]),
        (b"dependencies: [{pip: null}]", [MONITORING, MLFLOW]),
    ],
)
def test_what_to_add_is_named(document: bytes, adds: list[str]) -> None:
    assert to_add(document) == adds


@pytest.mark.parametrize(
    "document", [b"", b"name: x", b"[1]", b"dependencies: pip", b"dependencies: [", b"\xff\xfe"]
)
def test_what_is_no_conda_file_is_said_to_be_none(document: bytes) -> None:
    with pytest.raises(ValueError, match=r"YAML|list `dependencies`"):
        to_add(document)


@pytest.mark.parametrize("folder", ["cli/new-loop", "loops/income", "loops/iris", "loops/prices"])
def test_our_own_loops_without_scoring_code_name_what_their_server_needs(folder: str) -> None:
    assert look(ROOT / folder) == ""


def test_a_folder_that_never_names_the_package_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    train = tmp_path / "train" / "train.py"
    train.write_text("import mlflow")
    assert MONITORING in look(tmp_path)
    train.write_text("PACKAGES = ['azureml-ai-monitoring']")
    assert look(tmp_path) == ""


def test_a_model_that_lies_in_the_folder_is_read_itself(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("'azureml-ai-monitoring'")
    (tmp_path / "MLmodel").write_text("flavors: {}")
    (tmp_path / "conda.yaml").write_bytes(conda("mlflow==2.16.2"))
    assert look(tmp_path) == f"conda.yaml: it must ask for {MONITORING}"
    (tmp_path / "conda.yaml").write_text("name: x")
    assert look(tmp_path) == "conda.yaml: it has no list `dependencies`"
