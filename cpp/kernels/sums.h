// What the kernels that visit no zeros share: the sums of a pixel, and what its visits fetch for later ones.
#pragma once

#include "ahead.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

// A column of no more vectors than this has two sets of sums, which take turns: enough are in flight then to hide the
// latency of the multiply-add.
constexpr int kFewest = 4;

// The sums of one pixel of the output, in registers.
template <int Width>
struct Sums {
  vec lanes[Width];

  // To what the groups of blocks before have left there.
  inline void add_to(float* to, long block) const {
#pragma GCC unroll 8
    for (int q = 0; q < Width; ++q) {
      float* total = to + q / kVectors * block + q % kVectors * kLanes;
      store(total, load(total) + lanes[q]);
    }
  }
  inline void add(const Sums& other) {
#pragma GCC unroll 8
    for (int q = 0; q < Width; ++q) lanes[q] += other.lanes[q];
  }
  inline void add(vec value, const float* weights) {
#pragma GCC unroll 8
    for (int q = 0; q < Width; ++q) lanes[q] += value * load(weights + q * kLanes);
  }
};

// What a few pixels are to fetch for later groups and steps.
struct Next {
  Fetching<> weights, upcoming;

  // With so many pixels at once.
  Next(const SkipTask& task, int pixels)
      : weights(task.next_weights, visits(task, pixels)), upcoming(task.upcoming, visits(task, pixels)) {}
  inline void fetch() {
    weights.fetch_and_move_on();
    upcoming.fetch_and_move_on();
  }

 private:
  static long visits(const SkipTask& task, int pixels) {
    return static_cast<long>(task.rows) * ((task.columns + pixels - 1) / pixels);
  }
};

}  // namespace
}  // namespace LRPFAST_ISA
}  // namespace lrpfast
