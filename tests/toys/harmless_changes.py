"""Drawn changes that survive, each with the reason why what it changes does not matter."""

HARMLESS = {
    "ddcore/selection/k_center.py:spread_out  torch.empty(count, dtype=torch.int64, device=x.device)  ->  "
    "torch.empty(count, dtype=torch.int64)": "the same members; on a GPU their numbers would lie in host memory",
    "ddcore/runtime/machine.py:unseen_gpu  10  ->  11": "a driver that does not answer is waited for one second longer",
    "ddcore/benchmarks/unroll.py:__init__  28  ->  29": "the outer images of a benchmark are noise; with 29 rows the "
    "network and its steps, which are timed, are the same",
}
