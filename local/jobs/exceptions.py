"""What a job's client is told in Azure's words (HTTP), and why a step came to nothing (run history)."""

from __future__ import annotations

from local.refusal import ArmError


def not_found(name: str) -> ArmError:
    return ArmError(404, "NotFound", f"There is no job '{name}' in the local workspace.")


def not_found_compute(name: str) -> ArmError:
    return ArmError(404, "ResourceNotFound", f"There is no compute '{name}' in the local workspace.")


def already_exists(name: str) -> ArmError:
    return ArmError(
        400,
        "UserError",
        "A job with this name already exists. If you are trying to create a new job, use a different name."
        " If you are trying to update an existing job, its definition cannot be changed. Only description,"
        f" displayName, tags, and isArchived can be updated. ({name})",
    )


def invalid(message: str) -> ArmError:
    return ArmError(400, "UserError", message)


def not_emulated(what: str) -> ArmError:
    return ArmError(501, "NotImplemented", f"The local Azure does not emulate {what}.")


class StepFailed(Exception):
    """The step's own doing (its command, its environment, its data): the text goes to the run's error."""

    code = "UserError"


class EnvironmentNotBuilt(StepFailed):
    """What an environment asks for cannot be installed."""

    code = "ImageBuildFailure"

    def __init__(self, name: str, log: str) -> None:
        super().__init__(
            f"The image of the environment {name} could not be built. The end of its log:\n{log}"
        )


class StepLost(StepFailed):
    """The step's process is gone without a result, because the local workspace was stopped while it ran."""

    code = "SystemError"


class StepCanceled(Exception):
    """Somebody asked for the end of the run."""


class WorkspaceStopping(Exception):
    """The workspace process ends; the step's state stays as it is, for the next start to judge."""
