"""The process that decodes: `python -m etude.data.frames.decode_worker`, started by `pool`.

It reads one job a line from its standard input (JSON) and answers on its standard output: `{"frames": n}` as it goes
on, then `{"done": …}` or `{"error": sentence, "kind": "dataset" | "storage"}`. When its input ends, it ends.

Nothing heavy may be imported here (no torch, no lerobot), and the arrays only once they are needed: looking through
a video's packets begins while another worker still imports.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO

__all__ = ["main"]

REPORT_EVERY_S = 0.2


class Reporter:
    """Tells the parent how many frames are finished, now and then; ends the process when the parent is gone."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._frames = 0
        self._next = time.monotonic() + REPORT_EVERY_S

    def send(self, message: dict[str, Any]) -> None:
        try:
            self._stream.write(json.dumps(message).encode() + b"\n")
            self._stream.flush()
        except BrokenPipeError:
            os._exit(1)

    def advance(self) -> None:
        self._frames += 1
        now = time.monotonic()
        if now >= self._next:
            self.flush()
            self._next = now + REPORT_EVERY_S

    def flush(self) -> None:
        if self._frames:
            self.send({"frames": self._frames})
            self._frames = 0


def main() -> None:
    """Work until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not come between the answers
    import av

    from etude.data.heap import keep_freed_memory

    keep_freed_memory()
    av.logging.set_level(None)
    reporter = Reporter(answers)
    reporter.send({"ready": True})
    for line in sys.stdin.buffer:
        job = json.loads(line)
        reporter.send(_answer(job, reporter))


def _answer(job: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    try:
        done = _JOBS[job["do"]](job, reporter)
    except Exception as error:  # noqa: BLE001  the parent tells the user
        if isinstance(error, OSError) and error.errno is not None:
            # What is read is reported by the decoders themselves; this is the store's own file.
            return {"error": error.strerror or str(error), "kind": "storage", "errno": error.errno}
        return {"error": f"{job.get('file', job.get('target'))}: {error}", "kind": "dataset"}
    reporter.flush()
    return {"done": done}


def _prepare(_: dict[str, Any], __: Reporter) -> dict[str, Any]:
    import cv2

    import etude.data.frames.frame_writer

    cv2.setNumThreads(0)
    return {"writer": etude.data.frames.frame_writer.__name__}


def _scan_video(job: dict[str, Any], _: Reporter) -> dict[str, Any]:
    from etude.data.frames.video_ranges import scan_video

    return scan_video(job["file"])


def _scan_table(job: dict[str, Any], _: Reporter) -> dict[str, Any]:
    from etude.data.frames.picture_cells import scan_table

    return scan_table(job["file"], job["root"], job["column"])


def _decode(job: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Decode a range of frames into the job's file."""
    if job["light"]:
        return _decode_light(job, reporter)
    _prepare(job, reporter)
    from etude.data.frames.codecs import open_codec
    from etude.data.frames.frame_writer import open_writer

    descriptor = os.open(job["target"], os.O_RDWR | os.O_CREAT, 0o666)
    try:
        codec = open_codec(job["encoding"], tuple(job["shape"]), job["dtype"])
        writer = open_writer(descriptor, job["first"], codec)
        _pictures(job, _taker(job, writer, reporter))
        return writer.finish()
    finally:
        os.close(descriptor)


def _decode_light(job: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """The same for raw frames of a video, with nothing else to import."""
    from etude.data.frames.plane_writer import PlaneWriter
    from etude.data.frames.video_ranges import decode_range

    descriptor = os.open(job["target"], os.O_RDWR)
    try:
        writer = PlaneWriter(descriptor, job["first"], tuple(job["shape"]))

        def take(frame: Any) -> None:
            writer.add(frame)
            reporter.advance()

        decode_range(job["file"], job["pts"], job["key"], job["first"], take)
        return writer.finish()
    finally:
        os.close(descriptor)


def _taker(job: dict[str, Any], writer: Any, reporter: Reporter) -> Callable[[Any], None]:
    """What is done with each picture: bring it to the form's size, check it, write it."""
    from etude.data.frames.codecs import fit
    from etude.data.frames.forms import Form

    form = Form.parse(job["form"])
    channels, height, width = job["shape"]
    native = job["encoding"].get("native") is not None
    expected = (height * 3 // 2, width) if native else (height, width) if channels == 1 else (height, width, channels)

    def take(picture: Any) -> None:
        resized = picture if native else fit(picture, form)
        if resized.shape != expected or str(resized.dtype) != job["dtype"]:
            raise ValueError(f"a frame is {picture.shape} {picture.dtype}; the first one was {expected} {job['dtype']}")
        writer.add(resized)
        reporter.advance()

    return take


def _pictures(job: dict[str, Any], take: Callable[[Any], None]) -> None:
    if job["kind"] == "table":
        from etude.data.frames.picture_cells import decode_cells

        decode_cells(job["file"], job["root"], job["column"], job["first"], job["count"], take)
        return
    from etude.data.frames.video_ranges import decode_range

    decode_range(job["file"], job["pts"], job["key"], job["first"], _converter(job, take))


def _converter(job: dict[str, Any], take: Callable[[Any], None]) -> Callable[[Any], None]:
    """From a decoder's frame to a picture, exactly as LeRobot's decoder makes it."""
    from av.video.reformatter import VideoReformatter

    from etude.data.frames.codecs import interleaved
    from etude.data.frames.colours import TAGGED_COLOURS, to_rgb

    native, colours = job["encoding"].get("native"), job["encoding"].get("colours")
    if job["depth"]:
        return lambda frame: take(frame.to_ndarray(format="gray12le"))
    if native is not None:

        def planes(frame: Any) -> None:
            if frame.format.name != native:
                raise ValueError(f"the pixel format changes from {native} to {frame.format.name}")
            if (frame.colorspace if frame.colorspace in TAGGED_COLOURS else None) != colours:
                raise ValueError("its frames are in another colour space than its header says")
            take(frame.to_ndarray())

        return planes
    reformatter = VideoReformatter()  # its tables are made once a range
    return lambda frame: take(interleaved(to_rgb(frame, reformatter)))


def _seal(job: dict[str, Any], _: Reporter) -> dict[str, Any]:
    """Append the parts to the shard's file, in their order, and bring it to the disk if that was asked for."""
    with open(job["target"], "r+b" if os.path.exists(job["target"]) else "w+b") as whole:
        whole.seek(0, os.SEEK_END)
        for part in job["parts"]:
            with open(part, "rb") as file:
                remaining = os.fstat(file.fileno()).st_size
                while remaining:
                    remaining -= os.sendfile(whole.fileno(), file.fileno(), None, remaining)
            os.unlink(part)
        if job["sync"]:
            os.fsync(whole.fileno())
        return {"bytes": os.fstat(whole.fileno()).st_size}


_JOBS: dict[str, Callable[[dict[str, Any], Reporter], dict[str, Any]]] = {
    "prepare": _prepare,
    "scan_video": _scan_video,
    "scan_table": _scan_table,
    "decode": _decode,
    "seal": _seal,
}


if __name__ == "__main__":
    main()
