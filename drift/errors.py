"""What a person must fix, in three parts: what is wrong, where, and what to do.

DataError                 the data or a stored profile cannot be used
└── UnknownSchemaError    a stored profile was written by another version of this package
"""


class DataError(ValueError):
    """The input cannot be profiled or compared.

    Parameters
    ----------
    problem
        What is wrong.
    where
        The file or the column that it is wrong in.
    remedy
        What to do about it.
    """

    def __init__(self, problem: str, where: str = "", remedy: str = "") -> None:
        self.problem, self.where, self.remedy = problem, where, remedy
        place = f"{where}: " if where else ""
        advice = f" {remedy}" if remedy else ""
        super().__init__(f"{place}{problem}.{advice}")

    def __reduce__(self) -> tuple[type["DataError"], tuple[str, str, str]]:
        return type(self), (self.problem, self.where, self.remedy)


class UnknownSchemaError(DataError):
    """A stored profile's schema version is not one that this package reads."""
