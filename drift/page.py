"""A report as one self-contained page; stub while it is being filled."""

from drift.profiles import Profile
from drift.report import Report


def report_html(report: Report, reference: Profile, current: Profile) -> str:
    """The report as HTML that opens without network."""
    raise NotImplementedError
