import csv

import benchmark
import pytest
import torch

from ddcore.benchmarks.unroll import sketch


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
