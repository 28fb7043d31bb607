// All micro-benchmarks, with memory as the node has it.
#include <benchmark/benchmark.h>

#include "base/memory.h"

int main(int argc, char** argv) {
  rosebud::keep_freed_memory();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
