"""The benchmarks by name, each a dataclass of options."""

from ddcore.benchmarks.kernels import KernelsBenchmark
from ddcore.benchmarks.matching import MatchingBenchmark
from ddcore.benchmarks.profile import ProfileBenchmark
from ddcore.benchmarks.rows import Benchmark
from ddcore.benchmarks.scale import ScaleBenchmark
from ddcore.benchmarks.scaling import ScalingBenchmark
from ddcore.benchmarks.startup import StartupBenchmark
from ddcore.benchmarks.unroll import UnrollBenchmark

BENCHMARKS: dict[str, type[Benchmark]] = {
    "unroll": UnrollBenchmark,
    "kernels": KernelsBenchmark,
    "matching": MatchingBenchmark,
    "profile": ProfileBenchmark,
    "scale": ScaleBenchmark,
    "scaling": ScalingBenchmark,
    "startup": StartupBenchmark,
}
