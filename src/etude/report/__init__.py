"""One self-contained HTML page about one run or several."""

from etude.report.page import WrittenReport, write_report

__all__ = ["WrittenReport", "write_report"]
