"""Reports: run folders in, compact records, one HTML page and its Markdown twin out."""

from collections.abc import Sequence
from pathlib import Path

from ddcore.errors import UsageError
from ddcore.report import html, markdown
from ddcore.report.collect import open_folders, open_job
from ddcore.report.document import sections
from ddcore.report.figures import draw_figures
from ddcore.report.pages import results_part, update_readme
from ddcore.report.pictures import add_pictures
from ddcore.report.records import NAME, Records, read_records
from ddcore.runtime import write_atomic, write_json

TITLE = "ddcore: what small training sets keep"


def collect(folders: Sequence[Path], out: Path) -> Records:
    """Read runs into records, and draw the pictures of their sets into `out`.

    Args:
        folders: the folder of one whole job (it holds ``job.json``), a folder with ``records.json`` of an earlier
            report, or run folders with ``scores.json``.
        out: the report's folder.

    Raises:
        UsageError: a folder isn't there, or none holds anything to report.
        DDCoreError: ``job.json`` or ``records.json`` is damaged, or `out` cannot be written.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder of runs")
    first = folders[0]
    if len(folders) == 1 and (first / "job.json").exists():
        found = open_job(first)
        results = [found.result(entry) for entry in found.job.get("results", [])]
    elif len(folders) == 1 and (first / NAME).exists():
        records = read_records(first)
        if out.resolve() != first.resolve():
            for grid in records["grids"]:
                write_atomic(out / grid["file"], (first / grid["file"]).read_bytes())
        return records
    else:
        found, results = open_folders(list(folders))
    grids, samples, confusions = add_pictures(found, out)
    records = found.records(results)
    return {**records, "grids": grids, "samples": samples, "confusions": confusions}


def make_report(folders: Sequence[Path], out: Path, readme: Path | None = None) -> list[str]:
    """Write ``records.json``, ``report.html``, ``report.md`` and ``figures/`` into `out`, and the README's table.

    Args:
        folders: as for `collect`.
        out: made if it isn't there.
        readme: a README with the two markers, or None.

    Returns:
        A line for every file among the runs that is damaged; the report holds them too.

    Raises:
        UsageError, DDCoreError: as `collect`; or the README lacks its markers.
    """
    records = collect(folders, out)
    write_json(out / NAME, records)
    parts = sections(records, draw_figures(records, out))
    write_atomic(out / "report.html", html.render(TITLE, parts, out).encode())
    write_atomic(out / "report.md", markdown.render(TITLE, parts).encode())
    if readme is not None:
        update_readme(readme, records)
    return records["problems"]


__all__ = ["TITLE", "Records", "collect", "make_report", "read_records", "results_part"]
