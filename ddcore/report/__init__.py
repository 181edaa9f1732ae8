"""Reports: run folders in; records, one HTML page and its Markdown twin out."""

from ddcore.report.comparison import write_comparison
from ddcore.report.make_report import make_report
from ddcore.report.markdown import lines
from ddcore.report.pages import with_parts
from ddcore.report.published_table import published_record
from ddcore.report.site import write_site

__all__ = ["lines", "make_report", "published_record", "with_parts", "write_comparison", "write_site"]
