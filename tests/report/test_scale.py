import re

import pytest

from ddcore.errors import DDCoreError
from ddcore.report.measurements import COLUMNS
from ddcore.report.pages import with_parts
from ddcore.report.scale import scale_part

HEAD = sorted(COLUMNS)
CASE = "members={} classes=10 side=64 budget=100 processes=1"


def write_rows(path, rows):
    """Write rows of (case, stage, metric, value); the other columns are those of every measurement."""
    lines = [",".join(HEAD)]
    for case, stage, metric, value in rows:
        cells = {"benchmark": "scale", "case": case, "variant": stage, "metric": metric, "p50": str(value)}
        lines.append(",".join(cells.get(name, name) for name in HEAD))
    path.write_text("\n".join(lines) + "\n")


def test_a_page_shows_the_slopes_and_the_picture(tmp_path):
    rows = tmp_path / "results" / "scale" / "rows.csv"
    rows.parent.mkdir(parents=True)
    points = [(CASE.format(n), stage, "time", n / 10) for n in (100, 1000) for stage in ("random", "k-means")]
    points += [(CASE.format(n), "k-means", "anonymous memory", 1e9) for n in (100, 1000)]
    points += [("members", stage, "slope", 1.04) for stage in ("random", "k-means")]
    points += [("members", stage, "expected slope", 1.0) for stage in ("random", "k-means")]
    write_rows(rows, points)
    page = with_parts("<!-- scale: results/scale/rows.csv -->\n<!-- end -->", {}, tmp_path)
    assert "| stage | slope in members |" in page and "| k-means | 1.04 (≤ 1) |" in page
    assert "k-means along members: slope 1.04" in page and "](../results/scale/scale.svg)" in page
    assert re.search("<svg", (rows.parent / "scale.svg").read_text())


def test_a_file_without_slopes_is_a_table_of_sizes(tmp_path):
    values = {"time": 1234.4, "anonymous memory": 2.5e9, "mapped memory": 3e8}
    case = CASE.format(20000)
    write_rows(tmp_path / "rows.csv", [(case, "random", metric, value) for metric, value in values.items()])
    text = scale_part(tmp_path / "rows.csv")
    assert "| 20,000 of 64x64 | random | 1,234 | 2.50 | 0.30 |" in text and text.endswith(
        "device, versions; commit commit."
    )


def test_a_file_without_rows_is_refused(tmp_path):
    write_rows(tmp_path / "rows.csv", [])
    with pytest.raises(DDCoreError, match="has no rows of 'scale'"):
        scale_part(tmp_path / "rows.csv")
