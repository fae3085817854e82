// Work shared among threads: independent tasks by number, in flush-to-zero mode.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <vector>

#include "threads.h"

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
constexpr double kWorkPerThread = 16384;

// What it costs in such multiply-adds when 16 floats pass by for a few operations: they mostly wait for memory.
constexpr double kPassing = 16;

// So much work a thread does between two looks at whether it is interrupted: looking asks for the time, which would
// cost as much as the smallest tasks, and this is a fraction of a millisecond.
constexpr double kWorkUnheeded = 1 << 20;

// To be called by a thread that has done some work.
inline void heed(double work) {
  static thread_local double unheeded = 0;
  unheeded += work;
  if (unheeded < kWorkUnheeded || !heed_interrupts) return;
  unheeded = 0;
  heed_interrupts();
}

// Tasks by number, one by one: each thread takes those of a range of its own, and then what others have left of
// theirs. Tasks that follow each other read the same rows or weights, which so stay in the cache of one core.
template <class Task>
class Tasks final : public Shared {
 public:
  Tasks(long count, int threads, const Task& task) : task_(task), ranges_(threads) {
    for (int i = 0; i < threads; ++i) {
      ranges_[i].next = count * i / threads;
      ranges_[i].past = count * (i + 1) / threads;
    }
  }

  void help() noexcept override {
    try {
      take([] {});
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      error_ = std::current_exception();
    }
  }

  // Calls `between` after each task that this thread takes. Where one throws, nobody takes further ones.
  template <class Between>
  void take(const Between& between) {
    try {
      const std::size_t own = joined_.fetch_add(1);
      for (std::size_t k = 0; k < ranges_.size(); ++k) {
        Range& range = ranges_[(own + k) % ranges_.size()];
        for (long i = range.next.fetch_add(1); i < range.past; i = range.next.fetch_add(1)) {
          task_(i);
          between();
        }
      }
    } catch (...) {
      for (Range& range : ranges_) range.next.store(range.past);
      throw;
    }
  }

  // Throws what a helper ran into. To be called when none is at work any more.
  void check() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  struct alignas(64) Range {  // in a line of the cache of its own
    std::atomic<long> next{0};
    long past = 0;
  };
  const Task& task_;
  std::vector<Range> ranges_;
  std::atomic<std::size_t> joined_{0};
  std::mutex mutex_;
  std::exception_ptr error_;
};

// Calls task(i) for i in [0, count), on so many threads at most, this one among them. Tasks must not depend on each
// other, so the result is the same for any number of threads. `work` is that of all tasks together. What a task throws
// arrives here, whichever thread it was on, and so does an interruption; some tasks have not been called then.
template <class Task>
void parallel_for(int threads, long count, double work, const Task& task) {
  const FlushToZero mode;
  const double worth = std::min(work / kWorkPerThread, static_cast<double>(count));
  const int used = worth < 2 ? 1 : worth < threads ? static_cast<int>(worth) : threads;
  Tasks<Task> tasks(count, used, task);
  {
    const Helpers helpers(used - 1, tasks);
    tasks.take([each = work / static_cast<double>(count)] { heed(each); });
  }
  tasks.check();
}

}  // namespace lrpfast
