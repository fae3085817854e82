// Work shared among threads: independent tasks by number, in flush-to-zero mode.
#pragma once

#include <algorithm>
#include <atomic>

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace lrpfast {

// Treats denormal numbers as zero while it lives, and restores the thread's mode after: relevance of deep networks
// underflows, and arithmetic with denormals is many times slower.
class FlushToZero {
 public:
#if defined(__SSE__)
  FlushToZero() : mode_(_mm_getcsr()) { _mm_setcsr(mode_ | 0x8040); }
  ~FlushToZero() { _mm_setcsr(mode_); }

 private:
  unsigned mode_;
#elif defined(__aarch64__)
  FlushToZero() {
    asm volatile("mrs %0, fpcr" : "=r"(mode_));
    asm volatile("msr fpcr, %0" : : "r"(mode_ | (1UL << 24)));
  }
  ~FlushToZero() { asm volatile("msr fpcr, %0" : : "r"(mode_)); }

 private:
  unsigned long mode_;
#else
  FlushToZero() {}
#endif
};

// Below this much work (multiply-adds of 16 floats) for each of them, threads cost more than they save: some
// microseconds, and far more where the cores are busy with something else.
constexpr double kWorkPerThread = 32768;

// What it costs in such multiply-adds when 16 floats pass by for a few operations: they mostly wait for memory.
constexpr double kPassing = 16;

// Calls task(i) for i in [0, count). Tasks must not depend on each other, so the result is the same for any number of
// threads; 0 threads means as many as OpenMP would take. `work` is that of all tasks together.
template <class Task>
void parallel_for(int threads, long count, double work, const Task& task) {
#if defined(_OPENMP)
  const int wanted = threads > 0 ? threads : omp_get_max_threads();
  const double worth = std::min(work / kWorkPerThread, static_cast<double>(count));
  const int used = worth < 2 ? 1 : worth < wanted ? static_cast<int>(worth) : wanted;
  std::atomic<long> next{0};  // a loop of OpenMP would wait at its own end, and once more at that of the region
#pragma omp parallel num_threads(used) if (used > 1)
  {
    const FlushToZero mode;
    for (long i = next.fetch_add(1); i < count; i = next.fetch_add(1)) task(i);
  }
#else
  (void)threads;
  (void)work;
  const FlushToZero mode;
  for (long i = 0; i < count; ++i) task(i);
#endif
}

}  // namespace lrpfast
