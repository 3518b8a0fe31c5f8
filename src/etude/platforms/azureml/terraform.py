"""What Terraform says about the workspace: `terraform output -json`, a state file, or a file with the outputs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etude.errors import UsageError

__all__ = ["read_terraform"]

PLACES = ("infrastructure/terraform", "deploy/001-iac", "deploy/terraform", "terraform", "infra", ".")
OUTPUT_FILES = ("outputs.json", "terraform-outputs.json", "terraform_outputs.json", "terraform-output.json")
TIMEOUT_S = 60
WORKSPACE_ID = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<resource_group>[^/]+)/providers"
    r"/Microsoft\.MachineLearningServices/workspaces/(?P<workspace>[^/]+)",
    re.IGNORECASE,
)

Outputs = Mapping[str, Any]
Values = dict[str, tuple[str, str]]


def read_terraform(
    names: Mapping[str, Sequence[str]], folder: Path, named: str | Path | None, environ: Mapping[str, str]
) -> tuple[Values, list[str]]:
    """`{setting: (value, source)}` from the first place that has outputs, and notes about those that could not be read.

    Args:
        names: of outputs that may hold each setting, the likeliest first.
        folder: where the usual places are looked for.
        named: the folder or file that the user gave; then only that is read.
        environ: of the process; its PATH has `terraform` or not.

    Raises:
        UsageError: what the user named is not there, or holds no outputs.
    """
    notes: list[str] = []
    if named is not None:
        place = Path(named).expanduser()
        place = place if place.is_absolute() else folder / place
        outputs, where = _outputs(place, environ, notes)
        if outputs is None:
            reason = notes[-1] if notes else "it holds no state, no outputs file and no Terraform module"
            raise UsageError(
                f"no Terraform outputs in {named}: {reason}",
                hint="give the folder where `terraform output -json` works, or a file with what it prints",
            )
        return _settings(names, outputs, where), notes
    for usual in PLACES:
        outputs, where = _outputs(folder / usual, environ, notes)
        if outputs and (values := _settings(names, outputs, where)):
            return values, notes
    return {}, notes


def _outputs(place: Path, environ: Mapping[str, str], notes: list[str]) -> tuple[Outputs | None, str]:
    """Outputs as `{name: value}`, and where they were found; None when there are none."""
    if place.is_file():
        return _from_file(place, notes), str(place)
    if not place.is_dir():
        return None, ""
    # A state far away leaves no outputs in the folder; what terraform itself says is then the only truth.
    if _is_module(place) and not _has_local_state(place):
        outputs = _from_command(place, environ, notes)
        if outputs is not None:
            return outputs, str(place)
    for file in (_state_file(place), *(place / name for name in OUTPUT_FILES)):
        if file.is_file() and (outputs := _from_file(file, notes)):
            return outputs, str(file)
    return None, ""


def _is_module(place: Path) -> bool:
    return (place / ".terraform").is_dir() or any(place.glob("*.tf"))


def _has_local_state(place: Path) -> bool:
    backend = place / ".terraform" / "terraform.tfstate"
    try:
        kind = json.loads(backend.read_text(encoding="utf-8"))["backend"]["type"]
    except (OSError, ValueError, KeyError, TypeError):
        kind = "local"
    return kind == "local" and _state_file(place).is_file()


def _state_file(place: Path) -> Path:
    try:
        chosen = (place / ".terraform" / "environment").read_text(encoding="utf-8").strip()
    except OSError:
        chosen = ""
    if chosen and chosen != "default":
        return place / "terraform.tfstate.d" / chosen / "terraform.tfstate"
    return place / "terraform.tfstate"


def _from_command(place: Path, environ: Mapping[str, str], notes: list[str]) -> Outputs | None:
    program = shutil.which("terraform", path=environ.get("PATH"))
    if program is None:
        notes.append(f"{place} is a Terraform module, but terraform is not on the PATH")
        return None
    command = [program, f"-chdir={place}", "output", "-json", "-no-color"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1"},
        )
        if done.returncode == 0:
            return _values(json.loads(done.stdout or "{}"))
        lines = [line.strip("╷│╵ ") for line in done.stderr.splitlines()]
        reason = next((line for line in lines if line), f"exit code {done.returncode}")
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        reason = str(error)
    notes.append(f"`terraform output -json` in {place} failed: {reason}")
    return None


def _from_file(file: Path, notes: list[str]) -> Outputs | None:
    try:
        body = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        notes.append(f"{file} cannot be read: {error}")
        return None
    if not isinstance(body, dict):
        notes.append(f"{file} holds no outputs")
        return None
    if "terraform_version" in body and "values" in body:  # `terraform show -json`
        body = body["values"]
    return _values(body["outputs"] if isinstance(body.get("outputs"), dict) else body)


def _values(outputs: Mapping[str, Any]) -> Outputs:
    """`{name: {"value": v, "type": t}}`, as Terraform writes it, or `{name: v}` to `{name: v}`."""
    return {
        name: item["value"] if isinstance(item, dict) and "value" in item else item for name, item in outputs.items()
    }


def _settings(names: Mapping[str, Sequence[str]], outputs: Outputs, where: str) -> Values:
    folded = {name.lower().replace("-", "_"): (name, value) for name, value in outputs.items()}
    values: Values = {}
    for setting, spellings in names.items():
        for spelling in spellings:
            name, value = folded.get(spelling, ("", None))
            if text := _text(value):
                values[setting] = (text, f"Terraform output {name} in {where}")
                break
    return _derived(values, folded, where)


def _text(value: Any) -> str:
    """A name: the value itself, or the `name` of an object, also when it is a list of one."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("name")
    if not isinstance(value, str):
        return ""
    return value.rsplit("/", 1)[-1].strip()  # a resource's id ends in its name


def _derived(values: Values, folded: Mapping[str, tuple[str, Any]], where: str) -> Values:
    """What other outputs imply: a workspace's id tells its subscription and group, a cluster its compute's name."""
    for name, value in folded.values():
        text = value.get("id") if isinstance(value, dict) else value
        if isinstance(text, str) and (match := WORKSPACE_ID.search(text)):
            for setting, part in match.groupdict().items():
                values.setdefault(setting, (part, f"Terraform output {name} in {where}"))
    for name in ("aks_cluster", "aks_cluster_name"):
        written, value = folded.get(name, ("", None))
        if cluster := _text(value):
            # A compute's name has at most 16 characters; a cluster is attached as k8s- and its own name.
            compute = f"k8s-{cluster.removeprefix('aks-')}"[:16].rstrip("-")
            values.setdefault("compute", (compute, f"Terraform output {written} in {where}"))
    return values
