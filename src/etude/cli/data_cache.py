"""`etude data cache`: build, list, verify and remove the stores of decoded frames."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.cli.arguments import Parser
from etude.cli.command_group import Command, CommandGroup
from etude.cli.episode_list import read_episodes
from etude.errors import UsageError, nearest

if TYPE_CHECKING:
    from etude.data.frames.store import StoreInfo

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run one sub-command; returns the exit code."""
    return GROUP(argv)


def build(argv: Sequence[str]) -> int:
    """`etude data cache build`"""
    options = _build_parser().parse_args(argv)
    from etude.cli.data_cache_output import built_text, store_row
    from etude.cli.data_output import stages
    from etude.data.frames.choose import choose
    from etude.data.frames.facts import FactFinder
    from etude.data.frames.forms import Form
    from etude.data.sources import fingerprint

    form = Form(options.form, options.quality, options.width, options.height)
    episodes = read_episodes(options.episodes) if options.episodes else None
    meta = _metadata(options)
    cameras = _cameras(options.camera, meta)
    if not cameras:
        print("[]" if options.json else f"{meta.root} has no cameras: there is nothing to decode")
        return 0
    finder = FactFinder(meta, fingerprint(Path(meta.root)), cameras, episodes, form, _cache(options))
    facts = finder.facts()
    if not facts.is_ready(form.name):
        facts = finder.with_measured_sizes(facts)
    choice = choose(facts, form.name, quality=form.quality, disk_gib=options.disk_gib)
    if not options.json:
        print(choice.sentence, flush=True)
    from etude.data.frames.build import build_stores
    from etude.data.frames.settling import settle

    with stages() as progress:
        stores = build_stores(
            meta,
            finder.fingerprint,
            cameras,
            form,
            cache=finder.cache,
            episodes=episodes,
            workers=options.workers,
            max_bytes=choice.limit if choice.builds else None,
            progress=progress,
        )
        progress("writing to the disk", 0, 0)
        settle(shard for store in stores.values() for shard in store.placed_shards())
    infos = [store.info for store in stores.values()]
    print(json.dumps([store_row(info) for info in infos], indent=2) if options.json else built_text(infos))
    return 0


def list_(argv: Sequence[str]) -> int:
    """`etude data cache list`"""
    parser = _parser(
        "list",
        "Show the stores, the one used last first.",
        ["etude data cache list", "etude data cache list DIR", "etude data cache list --json"],
    )
    parser.add_argument("dataset", nargs="?", metavar="DIR|REPO_ID|FINGERPRINT", help="only those of this dataset")
    _add_places(parser)
    options = parser.parse_args(argv)
    from etude.cli.data_cache_output import list_text, store_row

    stores = _chosen(options) if options.dataset else _stores(options)
    if options.json:
        print(json.dumps([store_row(info) for info in stores], indent=2))
    else:
        print(list_text(stores, _cache(options)))
    return 0


def verify(argv: Sequence[str]) -> int:
    """`etude data cache verify`"""
    parser = _parser(
        "verify",
        "Read stores completely and compare checksums. Exit code: 0 as written, 4 when something is wrong;\n"
        "a shard that is wrong is named and dropped, and the next build makes it again.",
        ["etude data cache verify", "etude data cache verify DIR", "etude data cache verify all --json"],
    )
    parser.add_argument("dataset", nargs="?", default="all", metavar="DIR|REPO_ID|FINGERPRINT|all", help="default: all")
    _add_places(parser)
    options = parser.parse_args(argv)
    from etude.cli.data_cache_output import store_row, verdict_text
    from etude.cli.data_output import stages
    from etude.data.frames.upkeep import verify_store

    stores = _stores(options) if options.dataset == "all" else _chosen(options)
    found = []
    with stages() as progress:
        for number, info in enumerate(stores):
            progress("reading frame stores", number, len(stores))
            found.append((info, verify_store(info)))
    if options.json:
        print(json.dumps([store_row(info) | {"problems": problems} for info, problems in found], indent=2))
    else:
        print(verdict_text(found))
    return 4 if any(problems for _, problems in found) else 0


def remove(argv: Sequence[str]) -> int:
    """`etude data cache remove`"""
    options = _remove_parser().parse_args(argv)
    given = [bool(options.dataset), options.all, options.unused_days is not None]
    if sum(given) != 1:
        raise UsageError(
            "etude data cache remove needs one of: a dataset, --all, --unused-days N",
            hint="etude data cache list shows what is there",
        )
    import time

    from etude.cli.data_cache_output import removed_text
    from etude.data.frames.store import remove_store
    from etude.errors import StorageError

    stores = _chosen(options) if options.dataset else _stores(options)
    if options.unused_days is not None:
        oldest = time.time() - options.unused_days * 86400
        stores = [info for info in stores if info.last_used < oldest]
    freed: list[tuple[StoreInfo, int]] = []
    kept: list[tuple[StoreInfo, StorageError]] = []
    for info in stores:
        try:
            freed.append((info, remove_store(info)))
        except StorageError as error:
            kept.append((info, error))
    if options.json:
        removed = [{"folder": str(info.folder), "freed_bytes": size} for info, size in freed]
        print(json.dumps({"removed": removed, "kept": [error.message for _, error in kept]}, indent=2))
    else:
        print(removed_text(freed))
    if kept:
        raise kept[0][1]
    return 0


GROUP = CommandGroup(
    "etude data cache",
    {
        "build": Command(
            build, "decode a dataset's frames into a store, before any run", "etude data cache build DIR --form zstd"
        ),
        "list": Command(
            list_, "show the stores: dataset, camera, form, frames, size, last use", "etude data cache list"
        ),
        "verify": Command(verify, "read stores completely and compare checksums", "etude data cache verify all"),
        "remove": Command(remove, "remove stores, and say what that freed", "etude data cache remove --unused-days 30"),
    },
    about="Camera frames, decoded once and shared by all runs; see docs/frames.md.",
)


def _parser(name: str, description: str, examples: list[str]) -> Parser:
    return Parser(prog=f"etude data cache {name}", description=description, examples=examples)


def _add_places(parser: Parser) -> None:
    parser.add_argument("--path", metavar="FOLDER", help="of the stores (default: $ETUDE_CACHE/frames)")
    parser.add_argument("--json", action="store_true", help="for a script")


def _build_parser() -> Parser:
    parser = _parser(
        "build",
        "Decode the frames of a dataset into a store. What is there already is kept.",
        [
            "etude data cache build DIR",
            "etude data cache build DIR --form zstd --episodes 0-9",
            "etude data cache build USER/NAME --form jpeg --quality 90 --width 320 --height 240",
        ],
    )
    add = parser.add_argument
    add("dataset", nargs="?", metavar="DIR|REPO_ID", help="a folder, or a dataset on the hub")
    add("--dataset.root", "--root", dest="root", metavar="DIR", help="the dataset's folder")
    add("--dataset.repo_id", "--repo-id", dest="repo_id", metavar="REPO_ID", help="its name on the hub")
    add("--revision", metavar="REVISION", help="a tag, a branch or a commit on the hub")
    forms = "raw: exact (default); zstd: exact, compressed; jpeg: much smaller, lossy"
    add("--form", choices=("raw", "zstd", "jpeg"), default="raw", help=forms)
    add("--quality", type=_whole("--quality"), default=95, metavar="N", help="of jpeg, 1 to 100 (default: 95)")
    add("--width", type=_whole("--width"), metavar="N", help="store frames in this size; with --height")
    add("--height", type=_whole("--height"), metavar="N")
    add("--episodes", metavar="LIST", help="only the files of these, for example 0-4,9 (default: all)")
    add("--camera", action="append", metavar="NAME", help="only this one; may be given again (default: all)")
    add("--disk-gib", type=_positive("--disk-gib"), dest="disk_gib", metavar="N", help="most that it may take")
    add("--workers", type=_whole("--workers"), metavar="N", help="decoding processes (default: one a core)")
    _add_places(parser)
    return parser


def _remove_parser() -> Parser:
    parser = _parser(
        "remove",
        "Remove stores; the datasets stay. A store that a run reads is kept, and named.",
        ["etude data cache remove DIR", "etude data cache remove --unused-days 30", "etude data cache remove --all"],
    )
    parser.add_argument("dataset", nargs="?", metavar="DIR|REPO_ID|FINGERPRINT", help="the stores of this dataset")
    parser.add_argument("--all", action="store_true", help="every store")
    parser.add_argument(
        "--unused-days",
        type=_positive("--unused-days"),
        dest="unused_days",
        metavar="N",
        help="stores that no run has read for so long",
    )
    _add_places(parser)
    return parser


def _cache(options: argparse.Namespace) -> Path:
    from etude.data.frames.location import cache_folder

    return cache_folder(Path(options.path) if options.path else None)


def _metadata(options: argparse.Namespace) -> Any:
    from etude.data.sources import ensure_v30, locate

    location = ensure_v30(locate(options.dataset or options.repo_id, options.root, options.revision))
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

    return LeRobotDatasetMetadata(location.repo_id, root=location.root)


def _cameras(asked: list[str] | None, meta: Any) -> list[str]:
    known = [str(key) for key in meta.camera_keys]
    for name in asked or ():
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known) or 'none'}"
            raise UsageError(f"--camera: the dataset has no camera {name!r}", hint=hint)
    return list(dict.fromkeys(asked)) if asked else known


def _stores(options: argparse.Namespace) -> list[StoreInfo]:
    from etude.data.frames.store import list_stores

    return sorted(list_stores(_cache(options)), key=lambda info: info.last_used, reverse=True)


def _chosen(options: argparse.Namespace) -> list[StoreInfo]:
    """The stores of the dataset that is meant: by its folder, its name or its fingerprint."""
    from etude.data.frames.upkeep import stores_of

    stores = _stores(options)
    found = stores_of(options.dataset, stores)
    if not found and not Path(options.dataset).is_dir():
        names = sorted({name for info in stores for name in (info.repo_id, info.root)})
        close = nearest(options.dataset, names)
        there = "etude data cache list shows what is there" if names else "the cache is empty"
        raise UsageError(
            f"no frame store of {options.dataset!r} at {_cache(options)}",
            hint=f"did you mean {close[0]}?" if close else there,
        )
    return found


def _whole(flag: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdigit() or int(text) < 1:
            raise UsageError(f"{flag} must be a whole number of at least 1, got {text!r}")
        return int(text)

    return read


def _positive(flag: str) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise UsageError(f"{flag} must be a number of at least 0, got {text!r}")
        return value

    return read
