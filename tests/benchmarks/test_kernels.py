import os
import time

import pytest
import torch

from ddcore.benchmarks.kernels import AGREE, VARIANTS, Case, Sizes, bandwidth, cases, disagreement, forced, measure

CPU = torch.device("cpu")
TINY = Sizes(2, 3, (4, 7), 40, (12, 5), 6, 2)
TINY_CASES = list(cases(TINY, CPU))


def seconds(work):
    begun = time.perf_counter()
    work()
    return [time.perf_counter() - begun]


def test_every_op_has_its_case():
    ops = {case.name.split()[0].split(".")[0] for case in TINY_CASES}
    assert ops == {"norm_act_pool", "unrolled_step", "class_moments", "soft_cross_entropy", "resample"}


@pytest.mark.parametrize("case", TINY_CASES, ids=lambda case: case.name)
def test_every_case_runs_and_knows_its_bytes(case):
    with forced("reference"):
        given = sum(each.numel() * each.element_size() for each in case.given)
        assert case.bytes() > given
        assert all(each.isfinite().all() for each in case.results(case.given))


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("case", TINY_CASES, ids=lambda case: case.name)
def test_the_gate_lets_right_kernels_pass(case):
    assert disagreement(case) < AGREE


def test_the_gate_sees_a_wrong_kernel():
    def run(x):
        return x * (1.001 if os.environ["KERNELS"] == "triton" else 1)

    assert disagreement(Case("wrong", (torch.ones(3),), run)) == pytest.approx(1e-3, rel=1e-2)


def test_variants_are_timed_and_one_that_cannot_be_compiled_is_left_out(monkeypatch):
    seen = []

    def run(x):
        seen.append(os.environ["KERNELS"])
        return x + 1

    monkeypatch.delenv("KERNELS", raising=False)
    monkeypatch.setattr(torch, "compile", lambda run, dynamic: lambda *given: (_ for _ in ()).throw(RuntimeError))
    found = measure(Case("sum", (torch.ones(3),), run), seconds)
    assert list(found) == list(VARIANTS[:2]) and seen == ["triton", "reference"] and "KERNELS" not in os.environ


def test_the_bandwidth_counts_reads_and_writes(monkeypatch):
    monkeypatch.setattr("ddcore.benchmarks.kernels.COPIED", 4096)
    assert bandwidth(CPU, lambda work: (work(), [2.0])[1]) == 4096
