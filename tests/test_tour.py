"""The notebook of docs/, executed at toy size; its outputs in the repository are those of the size that it names."""

import json
from pathlib import Path

import pytest

TOUR = Path(__file__).parents[1] / "docs" / "tour.ipynb"
SIZES, TOY = '"fashion_mnist", 50, 60, "convnet"', '"digits", 20, 2, "mlp"'


def test_the_tour_runs_from_its_first_cell_to_its_last(tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(TOUR.parents[1]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    book = nbformat.read(TOUR, 4)
    first = next(cell for cell in book.cells if cell.cell_type == "code")
    assert SIZES in first.source
    first.source = first.source.replace(SIZES, TOY)
    nbclient.NotebookClient(book, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "runs" / "tour" / "report" / "report.html").is_file()


def test_its_pictures_and_tables_are_in_the_repository():
    cells = [cell for cell in json.loads(TOUR.read_text())["cells"] if cell["cell_type"] == "code"]
    assert 6 <= len(cells) <= 10 and all(cell["outputs"] for cell in cells)
    shown = {kind for cell in cells for output in cell["outputs"] for kind in output.get("data", {})}
    assert {"image/png", "text/markdown"} <= shown
