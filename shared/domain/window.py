"""How a training window is given to a pipeline."""

from __future__ import annotations

from enum import StrEnum


class WindowKind(StrEnum):
    """What the pipeline's input `training_data` is."""

    FOLDER = "folder"
    """A folder of Parquet files."""
    ROWS = "rows"
    """A table: a file MLTable that names Parquet files, and says that they are read as such."""
    FILES = "files"
    """A table that names the files alone."""

    @property
    def data_type(self) -> str:
        """Azure ML's word for the input and for the data asset."""
        return "uri_folder" if self is WindowKind.FOLDER else "mltable"
