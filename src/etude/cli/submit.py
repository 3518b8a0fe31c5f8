"""`etude submit`: run a command as a job, on this machine or on a platform."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace

from etude.cli.pasteable import command_line
from etude.cli.submit_arguments import EXAMPLES, SubmitOptions, read_submit
from etude.errors import UsageError
from etude.platforms.bundle.folder import write_bundle
from etude.platforms.commands import COMMANDS, Translated, translate
from etude.platforms.job import Job, Resources
from etude.platforms.ledger import Ledger, unique_name
from etude.platforms.needs import missing_secrets
from etude.platforms.opening import PLATFORMS, open_platform
from etude.platforms.places import state_folder
from etude.platforms.problems import Problem, RefusedJobError
from etude.platforms.seam import Platform
from etude.platforms.sending import send

__all__ = ["main"]

EXPERIMENT = "etude"
PAIRS = {"--set": "KEY=VALUE, for example limits.timeout=3600", "--secret": "NAME=REFERENCE", "--tag": "KEY=VALUE"}


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    options = read_submit(argv, tuple(COMMANDS))
    platform = open_platform(options.platform, _place(options))
    translated = translate(options.command)
    job = _job(options, translated)
    problems = [*missing_secrets(translated.needs, job.secrets, platform=options.platform), *platform.check(job)]
    if problems:
        raise RefusedJobError(problems)
    request = platform.plan(job)
    if options.flags.dry_run:
        print(request.text, end="" if request.text.endswith("\n") else "\n")
        print(f"bundle: {_size(job)}; nothing was sent", file=sys.stderr)
        return 0
    handle = send(platform, job, request, Ledger(state_folder() / "jobs"), command=["etude", "submit", *argv])
    _tell(job, str(handle), platform, as_json=options.flags.json)
    if options.flags.stream:
        from etude.cli.jobs import show_log

        return show_log(platform, handle, job.name, follow_it=True)
    return 0


def _job(options: SubmitOptions, translated: Translated) -> Job:
    """The job as plain data.

    Raises:
        UsageError: a flag of the command is refused here already.
    """
    flags = options.flags
    title = flags.title or translated.title
    environment = _pairs("--env", flags.env)
    secrets = _pairs("--secret", flags.secret)
    after = _registration(options)
    processes = max(1, vars(flags).get("gpus") or 1) if options.command[0] == "train" else 1
    filled = replace(translated.command, environment=environment, secrets=secrets, after=after, processes=processes)
    bundle = write_bundle(
        filled, state_folder() / "bundles", requirements=translated.requirements, config=translated.config
    )
    return Job(
        name=unique_name(title),
        title=title,
        experiment=flags.experiment or EXPERIMENT,
        bundle=bundle,
        inputs=translated.inputs,
        outputs=filled.outputs,
        environment=environment,
        secrets=secrets,
        resources=_resources(options),
        image=getattr(flags, "image", None),
        register=flags.register,
        settings=_settings(options),
        tags=_pairs("--tag", flags.tag),
    )


def _registration(options: SubmitOptions) -> tuple[tuple[str, ...], ...]:
    """The command that follows a training that succeeded, with `--register-model`."""
    name = options.flags.register
    if not name:
        return ()
    if options.command[0] != "train":
        raise UsageError(
            "--register-model registers what a training leaves", hint="etude models register NAME takes a checkpoint"
        )
    registry = "azureml" if options.platform == "azureml" else "mlflow"
    return (("models", "register", name, "{output:checkpoint}", "--registry", registry),)


def _resources(options: SubmitOptions) -> Resources:
    flags = vars(options.flags)
    names = ("compute", "instance_type", "nodes", "gpus", "shm_size", "priority", "retries")
    given = {name: flags[name] for name in names if flags.get(name) is not None}
    return Resources(**given, timeout_s=flags.get("timeout"))


def _place(options: SubmitOptions) -> dict[str, str]:
    """What says which place is meant."""
    flags = vars(options.flags)
    names = ("subscription_id", "resource_group", "workspace", "compute", "terraform_dir")
    given = {name: str(flags[name]) for name in names if flags.get(name)}
    return given | ({"offline": "yes"} if flags["dry_run"] else {})


def _settings(options: SubmitOptions) -> dict[str, str]:
    """What only one platform knows."""
    flags = vars(options.flags)
    given = {name: str(flags[name]) for name in ("identity", "environment", "job_tier") if flags.get(name)}
    return given | {f"set.{key}": value for key, value in _pairs("--set", options.overrides).items()}


def _pairs(flag: str, given: Sequence[str] | None) -> dict[str, str]:
    problems, pairs = [], {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            problems.append(Problem(f"{flag} must be {PAIRS.get(flag, 'NAME=VALUE')}, got {text!r}"))
        pairs[name] = value
    if problems:
        raise RefusedJobError(problems)
    return pairs


def _tell(job: Job, handle: str, platform: Platform, *, as_json: bool) -> None:
    if as_json:
        told = {"job": handle, "name": job.name, "bundle": job.bundle.digest, "bundle_bytes": job.bundle.bytes}
        print(json.dumps(told, indent=2))
        return
    print(f"job         {handle}")
    print(f"bundle      {_size(job)}")
    print("next")
    for verb in ("logs", "status", "cancel"):
        print(f"  {command_line(['jobs', verb, job.name, *(['--follow'] if verb == 'logs' else [])])}")
    for output in job.outputs:
        print(f"  {command_line(['jobs', 'download', job.name, '--output', output])}")


def _size(job: Job) -> str:
    return f"{job.bundle.digest[:16]}, {job.bundle.bytes / 2**20:.2f} MiB"


def _overview() -> str:
    return "\n".join(
        [
            "usage: etude submit PLATFORM [OPTIONS] COMMAND [ITS OPTIONS]     (etude submit PLATFORM --help: options)",
            "",
            "Run a command as a job. The command is what you would type here.",
            "",
            f"  platforms  {', '.join(PLATFORMS)}",
            f"  commands   {', '.join(COMMANDS)}",
            "",
            "examples:",
            *(f"  {example}" for example in EXAMPLES),
        ]
    )
