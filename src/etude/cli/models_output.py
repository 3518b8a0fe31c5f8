"""What `etude models` prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from etude.cli.pasteable import command_line
from etude.registry import Downloaded, Lineage, ModelVersion, Registered

__all__ = [
    "downloaded_json",
    "downloaded_text",
    "lineage_text",
    "models_text",
    "registered_json",
    "registered_text",
    "size",
    "version_json",
    "versions_text",
]


def registered_text(result: Registered) -> str:
    """What was registered, and what to type next."""
    reference = result.version.reference
    follow = f"next:       {command_line(['models', 'show', reference])}"
    if result.was_there:
        since = (
            "\nevaluation: it has another one by now, which a new version would carry" if result.evaluated_since else ""
        )
        again = f"{reference} holds this checkpoint already (--force-new-version registers it again)"
        return f"unchanged:  {again}{since}\n{follow}"
    lineage = result.lineage
    what = f"{_checkpoint(lineage)}, {len(lineage.files)} files, {size(lineage.size)}"
    judged = _evaluation(lineage) or "none (etude evaluate, then register with --force-new-version)"
    return f"registered: {reference} ({what})\nevaluation: {judged}\n{follow}"


def registered_json(result: Registered) -> dict[str, Any]:
    """The same for a program."""
    return {**version_json(result.version, full=True), "was_there": result.was_there, "loaded": result.loaded}


def downloaded_text(result: Downloaded) -> str:
    """What is in the folder, and how sure that is."""
    reused = f", {result.reused} of them were here" if result.reused else ""
    how = "hashes verified" if result.verified else "sizes verified; without lineage there are no hashes to compare"
    return "\n".join(
        [
            f"downloaded: {result.version.reference} to {result.folder}",
            f"            {result.files} files, {size(result.bytes)}{reused}; {how}",
            f"next:       {command_line(['evaluate', f'--policy.path={result.folder}', '--env.type=NAME'])}",
        ]
    )


def downloaded_json(result: Downloaded) -> dict[str, Any]:
    """The same for a program."""
    return {
        "reference": result.version.reference,
        "folder": str(result.folder),
        "files": result.files,
        "bytes": result.bytes,
        "reused": result.reused,
        "verified": result.verified,
    }


def models_text(models: Mapping[str, Sequence[ModelVersion]], title: str) -> str:
    """One line a model: its latest version."""
    if not models:
        return f"no models yet in {title}\nnext: etude models register NAME RUN"
    rows = [("MODEL", "VERSIONS", *HEADINGS)]
    for name, versions in models.items():
        rows.append((name, str(len(versions)), *(_row(versions[0]) if versions else ("", "", "", "", ""))))
    return _table(rows)


def versions_text(versions: Sequence[ModelVersion]) -> str:
    """One line a version, latest first."""
    return _table([HEADINGS, *(_row(version) for version in versions)])


def version_json(version: ModelVersion, *, full: bool = False) -> dict[str, Any]:
    """A version; with its lineage where `full`."""
    lineage = version.lineage
    row: dict[str, Any] = {
        "reference": version.reference,
        "name": version.name,
        "version": version.version,
        "created_at": version.created_at,
        "aliases": list(version.aliases),
        "tags": version.tags,
        "digest": version.digest,
        "source": version.source,
    }
    if full:
        row["lineage"] = lineage.to_dict() if lineage else None
    elif lineage is not None:
        row |= {"checkpoint": lineage.checkpoint, "dataset": lineage.dataset, "evaluation": lineage.evaluation}
    return row


def lineage_text(version: ModelVersion) -> str:
    """Where a version comes from."""
    rows = [
        (
            "model",
            f"{version.reference}" + (f" ({', '.join(map('@'.__add__, version.aliases))})" if version.aliases else ""),
        ),
        ("registered", version.created_at),
        *_lineage_rows(version.lineage),
        ("tags", ", ".join(f"{key}={value}" for key, value in sorted(version.tags.items()))),
        ("stored at", version.source),
    ]
    text = _aligned(rows)
    if version.lineage is None:
        text += "\nIt carries no lineage: it was not registered by etude."
    return f"{text}\nnext: {command_line(['models', 'download', version.reference, 'DIR'])}"


def size(count: float) -> str:
    """Bytes in decimal units."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


# rows

HEADINGS = ("VERSION", "REGISTERED", "STEP", "SUCCESS RATE", "DATASET")


def _row(version: ModelVersion) -> tuple[str, str, str, str, str]:
    facts = version.facts
    named = version.version + "".join(f" @{alias}" for alias in version.aliases)
    when = version.created_at[:16].replace("T", " ")
    return (
        named,
        when,
        facts.get("etude.step", ""),
        facts.get("etude.success_rate", ""),
        facts.get("etude.dataset", ""),
    )


def _lineage_rows(lineage: Lineage | None) -> list[tuple[str, str]]:
    if lineage is None:
        return []
    dataset, run, git, mlflow = lineage.dataset, lineage.run, lineage.git, lineage.tracking.get("mlflow", {})
    wandb = lineage.tracking.get("wandb", {})
    counted = [f"{dataset[name]} {name}" for name in ("episodes", "frames") if isinstance(dataset.get(name), int)]
    return [
        ("policy", _join(lineage.policy.get("type"), _prefixed("fine-tuned from ", lineage.policy.get("base")))),
        ("checkpoint", _join(_checkpoint(lineage), _prefixed("seal ", lineage.checkpoint.get("seal")))),
        ("content", f"{lineage.digest}, {len(lineage.files)} files, {size(lineage.size)}"),
        ("evaluation", _evaluation(lineage) or "none"),
        (
            "dataset",
            _join(
                dataset.get("repo_id"),
                _prefixed("version ", dataset.get("version")),
                _prefixed("fingerprint ", dataset.get("fingerprint")),
                *counted,
            ),
        ),
        ("run", _join(run.get("name"), run.get("kind"), run.get("status"), _prefixed("begun ", run.get("created_at")))),
        ("git commit", _join(git.get("commit"), "with changes that are not committed" if git.get("dirty") else None)),
        ("MLflow run", _join(mlflow.get("run_id"), mlflow.get("experiment"), mlflow.get("uri"))),
        ("W&B run", _join(wandb.get("run_id"), wandb.get("project"), wandb.get("entity"))),
        ("packages", ", ".join(f"{name} {version}" for name, version in lineage.packages.items())),
        ("files", ", ".join(sorted(lineage.files))),
    ]


def _checkpoint(lineage: Lineage) -> str:
    step, named = lineage.checkpoint.get("step"), lineage.checkpoint.get("named")
    if step is None:
        return "a policy without a step"
    return f"step {step}" + (f" ({named})" if named else "")


def _evaluation(lineage: Lineage) -> str:
    found = lineage.evaluation
    rate = found.get("success_rate")
    if rate:
        place = " ".join(str(value) for value in found.get("environment", {}).values() if value)
        interval = f"[{rate['low']:.3f}, {rate['high']:.3f}]"
        return f"success rate {rate['value']:.3f} {interval} in {found.get('episodes')} episodes of {place}"
    if "mse" in found:
        return f"replay of {found.get('dataset')}: mean squared error {found['mse']:.4g}, absolute {found['mae']:.4g}"
    return ""


def _prefixed(prefix: str, value: Any) -> str | None:
    return f"{prefix}{value}" if value else None


def _join(*parts: Any) -> str:
    return ", ".join(str(part) for part in parts if part)


def _aligned(rows: Sequence[tuple[str, str]]) -> str:
    kept = [(name, value) for name, value in rows if value]
    width = max(len(name) for name, _ in kept) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in kept)


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
