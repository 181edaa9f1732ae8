from ddcore.benchmarks.registry import BENCHMARKS
from ddcore.benchmarks.rows import Benchmark


def test_every_benchmark_is_of_the_contract_and_says_what_it_measures():
    assert list(BENCHMARKS) == ["unroll", "kernels", "matching", "profile", "scale", "scaling", "startup"]
    for benchmark in BENCHMARKS.values():
        assert issubclass(benchmark, Benchmark) and benchmark.__doc__ and "results" in vars(benchmark)
        assert not benchmark().quick
