"""`etude environment`: container environments that jobs run in."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from etude.cli.arguments import Parser
from etude.cli.command_group import Command, CommandGroup
from etude.cli.pasteable import command_line
from etude.cli.workspace_flags import add_workspace_flags, open_workspace
from etude.errors import StorageError

__all__ = ["main"]

NAME = "etude"
DOCKERFILE = """\
# An image that holds etude's requirements: jobs in it install nothing.
FROM {base}
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --require-hashes --no-deps -r /tmp/requirements.txt && rm /tmp/requirements.txt
"""
BASE = "python:3.12-slim-bookworm"
"""PyTorch's wheels bring their own CUDA libraries; the driver comes from the node."""


def main(argv: Sequence[str]) -> int:
    """Run one sub-command; returns the exit code."""
    return GROUP(argv)


def create(argv: Sequence[str]) -> int:
    """`etude environment create`"""
    parser = Parser(
        prog="etude environment create",
        description="Register an environment that holds the requirements, so that jobs begin at once.\n"
        "Without --image, a build context is made here, and Azure ML builds the image when a job first needs it.",
        examples=[
            "etude environment create",
            "etude environment create robots --image registry.example.org/etude:1",
            "etude environment create --assets-only --build-context outputs/environment",
        ],
    )
    add = parser.add_argument
    add("name", nargs="?", default=NAME, metavar="NAME", help=f"default: {NAME}")
    add("--version", metavar="VERSION", help="default: the next number")
    add("--image", metavar="IMAGE", help="an image that is there already")
    add("--build-context", dest="context", metavar="DIR", help="a folder with a Dockerfile; made when it is absent")
    add("--base", default=BASE, metavar="IMAGE", help=f"of the Dockerfile that is made (default: {BASE})")
    add("--assets-only", dest="assets_only", action="store_true", help="write the build context, and register nothing")
    add("--json", action="store_true", help="for a script")
    add_workspace_flags(parser)
    options = parser.parse_args(argv)
    context = None if options.image else Path(options.context or "outputs/environment")
    if context is not None:
        _write_context(context, options.base)
    if options.assets_only:
        print(json.dumps({"build_context": str(context)}) if options.json else f"written: {context}/Dockerfile")
        return 0
    from etude.platforms.azureml.assets import create_environment

    platform = open_workspace(options)
    version = create_environment(
        platform, options.name, image=options.image, build_context=context, version=options.version
    )
    if options.json:
        print(json.dumps({"environment": f"azureml:{options.name}:{version}"}))
        return 0
    print(f"registered: azureml:{options.name}:{version}")
    print("next")
    next_command = ["submit", "azureml", "--environment", f"{options.name}@latest", "train", "--dataset.root=DIR"]
    print(f"  {command_line(next_command)}")
    return 0


GROUP = CommandGroup(
    "etude environment",
    {
        "create": Command(create, "register an environment that holds the requirements", "etude environment create"),
    },
)


def _write_context(folder: Path, base: str) -> None:
    """A Dockerfile and the list of requirements; a Dockerfile of the user's own stays."""
    from etude.platforms.bundle.folder import REQUIREMENTS

    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "Dockerfile").exists():
            print(f"{folder}/Dockerfile is there, and is used as it is", file=sys.stderr)
            return
        shutil.copyfile(REQUIREMENTS / "imitation.txt", folder / "requirements.txt")
        (folder / "Dockerfile").write_text(DOCKERFILE.format(base=base), encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror or error}") from error
