import csv

import benchmark
import pytest
import torch

from ddcore.benchmarks.unroll import sketch
from ddcore.errors import DDCoreError


def test_quick_measures_every_variant_and_prints_ratios(tmp_path, capsys):
    path = tmp_path / "b.csv"
    assert benchmark.main(["unroll", "--quick", "--out", str(path)]) == 0
    rows = list(csv.DictReader(path.open()))
    assert {"ddcore", "stored-graph"} <= {row["variant"] for row in rows}
    assert {"time", "memory", "flops", "operators"} <= {row["metric"] for row in rows}
    assert all(float(row["p50"]) >= 0 for row in rows)
    assert "x the stored graph" in capsys.readouterr().out


def test_variants_that_disagree_give_no_figures(tmp_path, capsys, monkeypatch):
    def lie(case, variants, args):
        right = sketch([torch.ones(3), torch.ones(2)])
        turned = sketch([torch.tensor([1.0, 1.0, 0.6]), torch.ones(2)])
        sketches = {"stored-graph": right, "ddcore": turned}
        return {name: {"sketch": each, "time": [1.0]} for name, each in sketches.items()}

    monkeypatch.setattr(benchmark, "measured", lie)
    assert benchmark.main(["unroll", "--quick", "--out", str(tmp_path / "b.csv")]) == 1
    assert "computes another gradient" in capsys.readouterr().err and not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize("case", ["32", "a,b,c", "32,0,10"])
def test_a_wrong_case_is_one_line(case, capsys):
    assert benchmark.main(["unroll", "--case", case]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_kernels_need_a_gpu(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert benchmark.main(["kernels"]) == 2
    assert "measured on a GPU" in capsys.readouterr().err


def test_kernels_that_are_right_get_rows_and_a_wrong_one_an_error(tmp_path, monkeypatch, capsys):
    right = torch.ones(3)
    case = benchmark.ops.__globals__["Case"]("copy", (right,), lambda x: x + 0)
    monkeypatch.setattr(benchmark, "ops", lambda sizes, device: iter([case]))
    monkeypatch.setattr(benchmark, "bandwidth", lambda device, time: 24.0)
    monkeypatch.setattr(benchmark, "timed", lambda case, time: {"ddcore": [2.0], "eager": [4.0]})
    monkeypatch.setattr(benchmark, "disagreement", lambda case: 0.0)
    args = benchmark.options().parse_args(["kernels", "--out", str(tmp_path / "k.csv")])
    benchmark.kernels(args, torch.device("cuda"))
    rows = list(csv.DictReader((tmp_path / "k.csv").open()))
    assert [(row["variant"], float(row["p50"])) for row in rows] == [("ddcore", 2), ("eager", 4), ("byte-floor", 1)]
    assert "ddcore 2,000,000 us (50% of copying)" in capsys.readouterr().out
    monkeypatch.setattr(benchmark, "disagreement", lambda case: 0.1)
    with pytest.raises(DDCoreError, match="copy computes something else"):
        benchmark.kernels(args, torch.device("cuda"))


def test_a_step_of_dm_is_measured_beside_the_loop(tmp_path, capsys):
    path = tmp_path / "m.csv"
    assert benchmark.main(["matching", "--quick", "--repeats", "1", "--out", str(path)]) == 0
    assert [row["variant"] for row in csv.DictReader(path.open())] == ["ddcore", "per-class-loop"]
    assert "x the loop over classes" in capsys.readouterr().out


def test_steps_of_dm_that_disagree_give_no_figures(tmp_path, capsys, monkeypatch):
    wrong = {"ddcore": torch.ones(2), "per-class-loop": torch.tensor([1.0, 1.1])}
    monkeypatch.setattr(benchmark, "variants", lambda run: wrong)
    assert benchmark.main(["matching", "--quick", "--out", str(tmp_path / "m.csv")]) == 1
    assert "different gradients" in capsys.readouterr().err and not (tmp_path / "m.csv").exists()


def test_connected_processes_are_measured_beside_unconnected_ones(tmp_path, capsys):
    path = tmp_path / "s.csv"
    assert benchmark.main(["scaling", "--quick", "--out", str(path)]) == 0
    rows = list(csv.DictReader(path.open()))
    assert [row["variant"] for row in rows] == ["one", "2-connected", "2-unconnected", "2-connected"]
    assert [row["unit"] for row in rows] == ["steps/s"] * 3 + ["fraction"]
    assert all(float(row["p50"]) > 0 for row in rows) and float(rows[-1]["p50"]) < 1
    assert "x the" in capsys.readouterr().out
