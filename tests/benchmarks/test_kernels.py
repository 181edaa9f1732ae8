import os
import time
from dataclasses import replace
from itertools import islice
from unittest.mock import patch

import pytest
import torch

from ddcore.benchmarks import kernels
from ddcore.benchmarks.kernels import (
    AGREE,
    VARIANTS,
    KernelCase,
    KernelsBenchmark,
    KernelSizes,
    bandwidth,
    cases,
    direct,
    disagreement,
    measure,
    off_zero,
)
from ddcore.errors import DDCoreError

CPU = torch.device("cpu")
TINY = KernelSizes(2, 3, (4, 7), 40, (12, 5), 6, 2, (200, 5, 7))
TINY_CASES = list(cases(TINY, CPU))


def seconds(work):
    begun = time.perf_counter()
    work()
    return [time.perf_counter() - begun]


def test_every_op_has_its_case():
    ops = {case.name.split()[0].split(".")[0] for case in TINY_CASES}
    steps = {case.name.split(".")[1] for case in TINY_CASES if case.name.startswith("unrolled_step")}
    assert steps == {f"{half} {name} 40" for half in ("advance", "retreat") for name in ("sgd", "momentum", "adam")} - {
        "retreat sgd 40"  # its step back is a product with the rate
    }
    measured = {"norm_act_pool", "first_block", "unrolled_step", "class_moments", "soft_cross_entropy", "resample"}
    assert ops == measured | {"characteristic"}


@pytest.mark.parametrize("case", TINY_CASES, ids=lambda case: case.name)
def test_every_case_runs_and_knows_its_bytes(case):
    with patch.dict(os.environ, KERNELS="reference"):
        inputs = sum(each.numel() * each.element_size() for each in case.inputs)
        assert case.bytes() > inputs
        assert all(each.isfinite().all() for each in case.prepare(case.inputs)())


@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") != "1", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("case", TINY_CASES, ids=lambda case: case.name)
def test_the_gate_lets_right_kernels_pass(case):
    assert disagreement(case) < AGREE


def test_the_gate_sees_a_wrong_kernel():
    def run(x):
        return (x * (1.001 if os.environ["KERNELS"] == "triton" else 1),)

    assert disagreement(KernelCase("wrong", (torch.ones(3),), direct(run))) == pytest.approx(1e-3, rel=1e-2)


def test_variants_are_timed_and_one_that_cannot_be_compiled_is_left_out(monkeypatch):
    seen = []

    def run(x):
        seen.append(os.environ["KERNELS"])
        return (x + 1,)

    monkeypatch.delenv("KERNELS", raising=False)
    monkeypatch.setattr(torch, "compile", lambda run, dynamic: lambda *given: (_ for _ in ()).throw(RuntimeError))
    found = measure(KernelCase("sum", (torch.ones(3),), direct(run)), seconds)
    assert list(found) == list(VARIANTS[:2]) and seen == ["triton", "reference"] and "KERNELS" not in os.environ


def test_the_bandwidth_counts_reads_and_writes(monkeypatch):
    monkeypatch.setattr("ddcore.benchmarks.kernels.COPIED", 4096)
    assert bandwidth(CPU, lambda work: (work(), [2.0])[1]) == 4096


def test_kernels_that_are_right_get_rows_and_a_wrong_one_an_error(monkeypatch):
    case = KernelCase("copy", (torch.ones(3),), direct(lambda x: (x + 0,)))
    monkeypatch.setattr(kernels, "cases", lambda sizes, device: iter([case]))
    monkeypatch.setattr(kernels, "bandwidth", lambda device, time: 24.0)
    monkeypatch.setattr(kernels, "measure", lambda case, time: {"ddcore": [2.0], "eager": [4.0]})
    monkeypatch.setattr(kernels, "disagreement", lambda case: 0.0)
    copying, result = KernelsBenchmark().results([], torch.device("cuda"))
    assert copying.text == "copying moves 0 GB/s" and not copying.rows
    assert [(row.variant, row.p50) for row in result.rows] == [("ddcore", 2), ("eager", 4), ("byte-floor", 1)]
    assert "ddcore 2,000,000 us (50% of copying)" in result.text
    monkeypatch.setattr(kernels, "disagreement", lambda case: 0.1)
    monkeypatch.setattr(kernels, "cases", lambda sizes, device: iter([case, replace(case, name="other")]))
    results = KernelsBenchmark().results([], torch.device("cuda"))
    copying, first, second = islice(results, 3)
    assert not first.rows and first.text == "copy: differs from its reference by 1.0e-01"
    assert second.text.startswith("other")
    with pytest.raises(DDCoreError, match=r"^2 kernels fail: copy: differs .*; other: differs"):
        next(results)


def test_no_pixel_is_left_within_rounding_of_the_kink():
    draws = torch.Generator().manual_seed(0)
    x, gain, offset = (torch.randn(*shape, generator=draws) for shape in ((3, 2, 64, 64), (2,), (2,)))
    gain = gain.abs() + 0.5
    x[0, 0, 0, 0] = x[0, 0].mean() - offset[0] / gain[0] * x[0, 0].std(correction=0)

    def least(x):
        z = torch.nn.functional.group_norm(x.double(), 2, gain.double(), offset.double())
        return float(z.abs().min())

    assert least(x) < 9e-5 < least(off_zero(x, gain, offset))
