"""`python -m local up` runs the local Azure until Ctrl-C; `serve` is the workspace process that it starts."""

from __future__ import annotations

import argparse
from pathlib import Path

DEFAULT_STATE = Path(__file__).parent.parent / ".local" / "state"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, about in (("serve", "run the workspace service"),):
        command = commands.add_parser(name, help=about)
        command.add_argument("--state", type=Path, default=DEFAULT_STATE, help="the state folder")
    chosen = parser.parse_args(arguments)
    if chosen.command == "serve":
        from local.server import serve

        serve(chosen.state)


if __name__ == "__main__":
    main()
