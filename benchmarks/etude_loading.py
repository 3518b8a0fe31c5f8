"""Our loader in a process of its own: the session and the prefetcher of `etude train`, without the training step.

python benchmarks/etude_loading.py [--first FILE] FLAGS (those of etude train)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

AHEAD = 8  # more than the prefetcher has ready


def open_training_session(flags: list[str]) -> Any:
    """The session of `etude train` with these flags, up to its first step."""
    from etude.config import resolve
    from etude.data.heap import keep_freed_memory
    from etude.imitation.dataset import find_training_data
    from etude.imitation.precision import choose_precision
    from etude.imitation.processes import Processes
    from etude.imitation.session import open_session, training_frames
    from etude.imitation.settings import decode

    settings = decode(resolve(flags))
    config, options = settings.lerobot, settings.options
    processes = Processes(config.policy.device, choose_precision(options.precision, config.policy))
    if processes.device.type == "cpu":
        keep_freed_memory()
    data = find_training_data(config, options.data_check)
    settings = settings.finish(
        training_frames(config, options, data.meta),
        action_dim=data.meta.features["action"]["shape"][-1],
        num_processes=processes.world,
    )
    return open_session(settings.lerobot, settings.options, data.meta, processes, None)


def endless(session: Any) -> Iterator[dict[str, Any]]:
    """Batches as the trainer loads them and sends them to the session's device."""
    from etude.data.prefetch import Prefetcher
    from etude.data.staging import Staged, Staging
    from etude.imitation.trainer import LOOK_AHEAD

    staging = Staging(session.learner.device)
    session.source.pin = staging.pins

    def load(step: int) -> Staged:
        session.source.will_batch(session.order.share(step + LOOK_AHEAD, 0).rows)
        return staging.send(session.source.batch(session.order.share(step, 0).rows))

    with Prefetcher(load, 0, session.config.steps) as batches:
        for staged in batches:
            yield staged.receive()


def main() -> None:
    """Serve measurements."""
    first = None
    if sys.argv[1] == "--first":
        first = Path(sys.argv[2])
        del sys.argv[1:3]
    from loader_process import serve

    session = open_training_session(sys.argv[1:])
    serve(
        endless(session),
        ready=AHEAD,
        device=session.processes.device.type,
        first=first,
        about=lambda: {"notes": session.notes},
    )


if __name__ == "__main__":
    main()
