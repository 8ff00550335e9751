"""Starts Microsoft's scoring server as its own command does, but on 127.0.0.1 and not on every interface."""

import os
import sys
from importlib.abc import MetaPathFinder

from azureml_inference_server_http import amlserver


class NotInstalled(MetaPathFinder):
    """Modules that the deployment's own environment would not have, though this machine's has them."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name in self._names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


if __name__ == "__main__":
    sys.meta_path.insert(0, NotInstalled(os.environ.get("LOCAL_NOT_INSTALLED", "").split()))
    amlserver.DEFAULT_HOST = "127.0.0.1"
    amlserver.run()
