import csv

import benchmark
import pytest
import torch

from ddcore.benchmarks.unroll import UnrollBenchmark, sketch


def test_quick_measures_every_variant_and_prints_ratios(tmp_path, capsys):
    path = tmp_path / "b.csv"
    assert benchmark.main(["unroll", "--quick", "--out", str(path)]) == 0
    rows = list(csv.DictReader(path.open()))
    assert {"ddcore", "stored-graph"} <= {row["variant"] for row in rows}
    assert {"time", "memory", "flops", "operators"} <= {row["metric"] for row in rows}
    assert all(float(row["p50"]) >= 0 for row in rows)
    assert "x the stored graph" in capsys.readouterr().out


def test_variants_that_disagree_give_no_figures(tmp_path, capsys, monkeypatch):
    right = sketch([torch.ones(3), torch.ones(2)])
    turned = sketch([torch.tensor([1.0, 1.0, 0.6]), torch.ones(2)])
    measured = {"stored-graph": {"sketch": right, "time": [1.0]}, "ddcore": {"sketch": turned, "time": [1.0]}}
    monkeypatch.setattr(UnrollBenchmark, "_measured", lambda *_: measured)
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


def test_a_step_of_dm_is_measured_beside_the_loop(tmp_path, capsys):
    path = tmp_path / "m.csv"
    assert benchmark.main(["matching", "--quick", "--repeats", "1", "--out", str(path)]) == 0
    assert [row["variant"] for row in csv.DictReader(path.open())] == ["ddcore", "per-class-loop"]
    assert "x the loop over classes" in capsys.readouterr().out


def test_connected_processes_are_measured_beside_unconnected_ones(tmp_path, capsys):
    path = tmp_path / "s.csv"
    assert benchmark.main(["scaling", "--quick", "--out", str(path)]) == 0
    rows = list(csv.DictReader(path.open()))
    assert [row["variant"] for row in rows] == ["one", "2-connected", "2-unconnected", "2-connected"]
    assert [row["unit"] for row in rows] == ["steps/s"] * 3 + ["fraction"]
    assert all(float(row["p50"]) > 0 for row in rows) and float(rows[-1]["p50"]) < 1
    assert "x the" in capsys.readouterr().out
