"""Reports: run folders in; records, one HTML page and its Markdown twin out."""

from collections.abc import Sequence
from pathlib import Path

from ddcore.errors import DDCoreError, UsageError, require
from ddcore.report import html, markdown
from ddcore.report.collect import Collector, open_folders, open_job
from ddcore.report.document import sections
from ddcore.report.figures import REPORT, draw_figures
from ddcore.report.pages import update_results
from ddcore.report.pictures import add_pictures
from ddcore.report.records import NAME, Records, ResultRecord, Scrub, ledger_beside, mark_readings, read_records
from ddcore.runtime import check_links, inside, write_atomic, write_json

TITLE = "ddcore: accuracy of small training sets"


def collect(folders: Sequence[Path], out: Path) -> Records:
    """Return the records of runs, and draw the pictures of their sets into `out`.

    Args:
        folders: the folder of one whole job (it holds ``job.json``), a folder with ``records.json`` of an earlier
            report, or run folders with ``scores.json``.
        out: the report's folder.

    Raises:
        UsageError: a folder does not exist, or none holds anything to report.
        DDCoreError: ``job.json`` or ``records.json`` is damaged, or `out` cannot be written.
    """
    for folder in folders:
        require(folder.is_dir(), f"{folder} is not a folder of runs")
    first = folders[0]
    if len(folders) == 1 and (first / "job.json").exists():
        collector, results = opened(first)
    elif len(folders) == 1 and (first / NAME).exists():
        records = read_records(first)
        if out.resolve() != first.resolve():
            for grid in records["grids"]:
                write_atomic(out / grid["file"], inside(first, grid["file"]).read_bytes())
        return records
    else:
        collector, results = open_folders(list(folders))
    return collector.records(results, *add_pictures(collector, out))


def opened(folder: Path) -> tuple[Collector, list[ResultRecord]]:
    """Return the stages and results of a job; if its ``job.json`` is damaged, those of its run folders.

    Raises:
        DDCoreError: ``job.json`` is damaged, and no run folder holds scores.
    """
    try:
        collector = open_job(folder)
    except DDCoreError as error:
        try:
            collector, results = open_folders([folder])
        except UsageError:
            raise error from None
        collector.note(error)
        return collector, results
    return collector, [collector.result(entry) for entry in collector.job.get("results", [])]


def make_report(folders: Sequence[Path], out: Path, readme: Path | None = None) -> list[str]:
    """Write ``records.json``, ``report.html``, ``report.md`` and ``figures/`` into `out`, and the README's table.

    Args:
        folders: as for `collect`.
        out: the report's folder; created if missing.
        readme: a page with a marker ``<!-- results: FOLDER -->`` that names `out`, or None.

    Returns:
        One line per damaged file among the runs; the report lists them too.

    Raises:
        UsageError, DDCoreError: as `collect`; or no marker of the README names `out`.
    """
    check_links(out)
    strangers = [name for name in ("report.html", "report.md") if (out / name).exists() and not (out / NAME).exists()]
    require(not strangers, f"{out} holds a {''.join(strangers[:1])} of something else: choose another --out")
    records = collect(folders, out)
    try:
        mark_readings(records, ledger_beside(out))
    except DDCoreError as error:
        records["problems"].append(Scrub(out.absolute().parent)(str(error)))
    write_json(out / NAME, records)
    parts = sections(records, draw_figures(REPORT, records, out))
    write_atomic(out / "report.html", html.render(TITLE, parts, out).encode())
    write_atomic(out / "report.md", markdown.render(TITLE, parts).encode())
    if readme is not None:
        update_results(readme, out)
    return records["problems"]
