"""Models by name and version, each with what led to it."""

from etude.registry.base import ModelVersion, Registry
from etude.registry.candidate import Candidate, find_candidate
from etude.registry.downloading import Downloaded, download
from etude.registry.finding import find, versions_of
from etude.registry.lineage import Lineage
from etude.registry.reference import ModelReference, parse_reference
from etude.registry.registering import Registered, register, register_run

__all__ = [
    "Candidate",
    "Downloaded",
    "Lineage",
    "ModelReference",
    "ModelVersion",
    "Registered",
    "Registry",
    "download",
    "find",
    "find_candidate",
    "parse_reference",
    "register",
    "register_run",
    "versions_of",
]
