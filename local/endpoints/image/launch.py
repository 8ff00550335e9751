"""Starts Microsoft's scoring server as its own command does, but on 127.0.0.1 and not on every interface."""

import os
import sys
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any


class OfTheEnvironment(PathFinder):
    """Finds what Python finds, but for modules that the deployment's own environment would not have."""

    hidden = frozenset(os.environ.get("LOCAL_NOT_INSTALLED", "").split())

    @classmethod
    def find_spec(cls, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return None if fullname in cls.hidden else super().find_spec(fullname, path, target)


if __name__ == "__main__":
    sys.meta_path[:] = [OfTheEnvironment if finder is PathFinder else finder for finder in sys.meta_path]
    from azureml_inference_server_http import amlserver

    amlserver.DEFAULT_HOST = "127.0.0.1"
    amlserver.run()
