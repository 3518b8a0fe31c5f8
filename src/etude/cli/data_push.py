"""`etude data push`: a dataset as a versioned asset of a platform."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from etude.cli.arguments import Parser
from etude.cli.data_output import report_text, stages
from etude.cli.pasteable import command_line
from etude.cli.workspace_flags import add_workspace_flags, open_workspace
from etude.errors import DatasetError, UsageError
from etude.extras import require

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    parser = Parser(
        prog="etude data push",
        description="Upload a dataset as a version of a data asset. The same content twice is one version;\n"
        "an upload that was interrupted goes on.",
        examples=[
            "etude data push azureml pusht DIR",
            "etude data push azureml pusht DIR --version 3 --tag robot=left",
        ],
    )
    add = parser.add_argument
    add("platform", choices=("azureml",), metavar="azureml", help="where to")
    add("name", metavar="NAME", help="of the asset")
    add("folder", metavar="DIR", help="the dataset")
    add("--version", metavar="VERSION", help="default: the next number")
    add("--tag", action="append", default=[], metavar="KEY=VALUE", help="a searchable word; may be given again")
    add("--description", default="", metavar="TEXT")
    add("--data-check", dest="check", choices=("fast", "full", "off"), default="fast", help="before (default: fast)")
    add("--json", action="store_true", help="for a script")
    add_workspace_flags(parser)
    options = parser.parse_args(argv)
    folder = Path(options.folder).expanduser()
    platform = open_workspace(options)
    tags = _tags(options.tag) | (_checked(folder, options.check) if options.check != "off" else {})
    from etude.platforms.azureml.assets import push_data

    with stages() as progress:
        pushed = push_data(
            platform,
            options.name,
            folder,
            version=options.version,
            tags=tags,
            description=options.description,
            progress=lambda done, total: progress("uploading", done, total),
        )
    if options.json:
        print(json.dumps({**vars(pushed), "reference": pushed.reference}, indent=2))
        return 0
    what = f"{pushed.files} files, {pushed.bytes / 2**20:.1f} MiB" if pushed.is_new else "this very content was there"
    print(f"{pushed.reference}: {what}")
    print("next")
    print(f"  {command_line(['submit', 'azureml', 'train', f'--dataset.root=azureml:{options.name}@latest'])}")
    return 0


def _checked(folder: Path, level: str) -> dict[str, str]:
    """Tags that tell what the dataset is, once it is known to be sound.

    Raises:
        DatasetError: it is not.
        MissingExtraError: the libraries that check it are not here.
    """
    require("lerobot", "imitation")
    from etude.data.checks import check_dataset
    from etude.data.sources import fingerprint, locate
    from etude.data.summary import summarise

    location = locate(None, str(folder), None)
    with stages() as progress:
        report = check_dataset(location.root, level, None, progress)
    if not report.is_sound:
        raise DatasetError(f"{folder} is not pushed:\n{report_text(report)}", hint="mend it, or --data-check off")
    summary = summarise(location).to_dict()
    known = {name: str(summary[name]) for name in ("episodes", "frames", "fps") if name in summary}
    return {"etude.fingerprint": fingerprint(location.root), **{f"etude.{name}": text for name, text in known.items()}}


def _tags(given: Sequence[str]) -> dict[str, str]:
    wrong = [text for text in given if not text.partition("=")[1] or text.startswith("=")]
    if wrong:
        raise UsageError(f"--tag must be KEY=VALUE, got {wrong[0]!r}")
    return {text.partition("=")[0]: text.partition("=")[2] for text in given}
