"""Our own wheel, from the package as it is installed here: the same bytes for the same code, without a build tool."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import etude
from etude.errors import PlatformError

__all__ = ["write_wheel"]

LEFT_OUT = {"__pycache__", "requirements"}
"""The lists of requirements lie beside the wheel in a bundle, and a job sends no other job."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def write_wheel(folder: Path) -> Path:
    """Write `etude-VERSION-py3-none-any.whl` into `folder`.

    Raises:
        PlatformError: the installed package does not say what it is.
    """
    name = f"etude-{etude.__version__}"
    wheel = folder / f"{name}-py3-none-any.whl"
    record = []
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:

        def add(path: str, data: bytes) -> None:
            entry = zipfile.ZipInfo(path, LONG_AGO)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data, compresslevel=9)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{path},sha256={digest},{len(data)}\n")

        for path, file in _package_files():
            add(path, file.read_bytes())
        about = f"{name}.dist-info"
        add(f"{about}/METADATA", _metadata())
        add(f"{about}/WHEEL", b"Wheel-Version: 1.0\nGenerator: etude\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        add(f"{about}/entry_points.txt", b"[console_scripts]\netude = etude.cli:main\n")
        record.append(f"{about}/RECORD,,\n")
        archive.writestr(zipfile.ZipInfo(f"{about}/RECORD", LONG_AGO), "".join(record))
    return wheel


def _package_files() -> Iterator[tuple[str, Path]]:
    root = Path(etude.__file__).parent
    for file in sorted(root.rglob("*"), key=lambda path: path.relative_to(root).as_posix()):
        inside = file.relative_to(root)
        if file.is_file() and file.suffix != ".pyc" and not LEFT_OUT.intersection(inside.parts):
            yield f"etude/{inside.as_posix()}", file


def _metadata() -> bytes:
    try:
        text = metadata.distribution("etude").read_text("METADATA") or metadata.distribution("etude").read_text(
            "PKG-INFO"
        )
    except metadata.PackageNotFoundError:
        text = None
    if not text:
        raise PlatformError("etude is not installed, so there is nothing to send", hint="pip install -e . in a clone")
    return text.encode()
