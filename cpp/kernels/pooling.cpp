// Pools: one row of windows over one block of channels.
//
// Loop order: windows; then the taps of the window that lie inside the map, in row-major order; vectors over channels.
// Bounds are worked out per window, so neither a halo nor a value for the padding is needed, and the first of several
// equal maxima wins because a later one must be larger. Backward, the windows are walked in the same order and add to
// what they saw: overlapping windows accumulate, always in the same order.
#include "vector.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

struct Range {
  int begin, end;
};

// Taps of a kernel that fall inside the map when the first tap is at `start`.
inline Range inside(int start, int kernel, int dilation, int size) {
  int begin = start < 0 ? (-start + dilation - 1) / dilation : 0;
  int end = start >= size ? 0 : (size - 1 - start) / dilation + 1;
  return {begin, end < kernel ? end : kernel};
}

// Calls f(window, offset in floats, tap) for every tap inside the map of every window of the row.
template <class F>
inline void for_taps(const PoolTask& task, F f) {
  const Range planes = inside(task.origin[0], task.kernel[0], task.dilations[0], task.size[0]);
  const Range rows = inside(task.origin[1], task.kernel[1], task.dilations[1], task.size[1]);
  for (int w = 0; w < task.windows; ++w) {
    const int left = task.origin[2] + w * task.strides[2];
    const Range columns = inside(left, task.kernel[2], task.dilations[2], task.size[2]);
    for (int d = planes.begin; d < planes.end; ++d)
      for (int h = rows.begin; h < rows.end; ++h) {
        const long row = (task.origin[0] + d * task.dilations[0]) * task.input_plane +
                         (task.origin[1] + h * task.dilations[1]) * task.input_row;
        const int tap = (d * task.kernel[1] + h) * task.kernel[2];
        for (int c = columns.begin; c < columns.end; ++c)
          f(w, row + static_cast<long>(left + c * task.dilations[2]) * kBlock, tap + c);
      }
  }
}

}  // namespace

void max_pool(const PoolTask& task, float* output, int32_t* winners) {
  for (long i = 0; i < static_cast<long>(task.windows) * kBlock; ++i) winners[i] = -1;
  for_taps(task, [&](int window, long offset, int tap) {
    for (int v = 0; v < kVectors; ++v) {
      float* best = output + window * kBlock + v * kLanes;
      int32_t* winner = winners + window * kBlock + v * kLanes;
      const vec value = load(task.input + offset + v * kLanes);
      const ivec before = load(winner);
      const vec held = load(best);
      const ivec larger = (before < 0) | (value > held);
      store(best, larger ? value : held);
      store(winner, larger ? tap - ivec{} : before);
    }
  });
}

void max_unpool(const PoolTask& task, const float* r, const int32_t* winners, float* out) {
  for_taps(task, [&](int window, long offset, int tap) {
    for (int v = 0; v < kVectors; ++v) {
      const long at = window * kBlock + v * kLanes;
      float* target = out + offset + v * kLanes;
      store(target, load(target) + (load(winners + at) == tap ? load(r + at) : vec{}));
    }
  });
}

void sum_pool(const PoolTask& task, const float* factors, float* output) {
  for (long i = 0; i < static_cast<long>(task.windows) * kBlock; ++i) output[i] = 0;
  for_taps(task, [&](int window, long offset, int) {
    for (int v = 0; v < kVectors; ++v) {
      float* total = output + window * kBlock + v * kLanes;
      store(total, load(total) + load(task.input + offset + v * kLanes));
    }
  });
  for (int w = 0; w < task.windows; ++w)
    for (int i = 0; i < kBlock; ++i) output[w * kBlock + i] *= factors[w];
}

void sum_unpool(const PoolTask& task, const float* factors, const float* s, float* out) {
  for_taps(task, [&](int window, long offset, int) {
    for (int v = 0; v < kVectors; ++v) {
      float* target = out + offset + v * kLanes;
      store(target, load(target) + factors[window] * load(s + window * kBlock + v * kLanes));
    }
  });
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
