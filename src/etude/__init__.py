"""étude trains robot policies here and, behind `etude submit`, on a cluster."""

__version__ = "0.1.0"
