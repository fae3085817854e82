// Memory that later work reads, or that outputs go to, fetched into the second level cache while the kernel computes. A
// kernel that walks over rows, taps and blocks at once is not what the processor guesses the course of, and to write a
// part of a line means to fetch it first: without this it would wait.
#pragma once

#include "vector.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

// An equal share of the lines of the cache at each of so many visits.
template <bool ToWrite = false>
class Fetching {
 public:
  Fetching(const Ahead& ahead, long visits)
      : next_(ahead.at),
        end_(ahead.at ? ahead.at + ahead.floats : nullptr),
        lines_(ahead.at && visits > 0 ? static_cast<int>((ahead.floats / kLine + visits - 1) / visits) : 0) {}

  // The share of this visit, so many floats on.
  inline void fetch(long offset = 0) const {
    for (int line = 0; line < lines_; ++line) __builtin_prefetch(next_ + offset + line * kLine, ToWrite, 2);
  }
  inline void fetch_and_move_on() {
    fetch();
    move_on();
  }
  inline void move_on() {
    next_ += static_cast<long>(lines_) * kLine;
    if (next_ >= end_) lines_ = 0;
  }

 private:
  static constexpr int kLine = 16;  // floats
  const float *next_, *end_;
  int lines_;
};

}  // namespace
}  // namespace LRPFAST_ISA
}  // namespace lrpfast
