"""Two profiles in, one report out; stub while it is being filled."""

from typing import Any

from drift.policy import Policy
from drift.profiles import Profile
from drift.report import Report


def compare(reference: Profile | Any, current: Profile | Any, policy: Policy | None = None) -> Report:
    """Tell whether the current rows differ from the reference's, in what, by how much, and if it matters."""
    raise NotImplementedError
