import pytest

from ddcore.benchmarks.rows import append_rows, row
from ddcore.errors import DDCoreError
from ddcore.report import pages
from ddcore.report.measurements import measurements_part
from ddcore.runtime import precise


@pytest.fixture
def measured(tmp_path):
    with precise("tf32"):
        yield rows_in(tmp_path)


def rows_in(tmp_path):
    path = tmp_path / "b.csv"
    for variant, seconds in (("ddcore", 9.0), ("eager", 4.0), ("ddcore", 2.0)):
        append_rows(path, [row("kernels", "op 8x8", variant, "time", "s", [seconds / 1e3] * 3)])
    append_rows(path, [row("kernels", "op 8x8", "ddcore", "flops", "flop", [1.0])])
    append_rows(path, [row("unroll", "net", "ddcore", "memory", "bytes", [2.0**21])])
    append_rows(path, [row("unroll", "net", "ddcore", "convolutions", "share", [0.5])])
    return path


def device(path):
    return path.read_text().splitlines()[1].split(",")[9].strip('"')


def test_the_last_median_of_each_variant_stands_in_its_column(measured):
    text = measurements_part(measured, "kernels", device(measured))
    assert [line for line in text.splitlines() if line.startswith("| op")] == ["| op 8x8 | tf32 | time, ms | 2 | 4 |"]
    assert "| ddcore | eager |" in text and "commit" in text
    text = measurements_part(measured, "unroll", device(measured))
    assert "| net | tf32 | memory, MB | 2 |" in text and "| net | tf32 | convolutions, % | 50 |" in text


@pytest.mark.parametrize(
    "change, line",
    [(lambda path: path.write_text("a,b\n1,2\n"), "is not a file of"), (lambda path: path.unlink(), "cannot be read")],
)
def test_another_file_is_refused(measured, change, line):
    change(measured)
    with pytest.raises(DDCoreError, match=line):
        measurements_part(measured, "kernels", "any")


def test_a_device_without_rows_is_refused(measured):
    with pytest.raises(DDCoreError, match="no row of 'kernels' on Cray"):
        measurements_part(measured, "kernels", "Cray")


def test_a_page_names_file_benchmark_and_device(measured, tmp_path):
    page = f"<!-- measured: b.csv unroll {device(measured)} -->\n<!-- end -->"
    assert "| net |" in pages.with_parts(page, {}, tmp_path)
