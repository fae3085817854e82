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

// The taps of one window that lie inside the map.
struct Taps {
  const PoolTask& task;
  Range planes, rows, columns;
  int left;

  // Calls f(offset in floats, tap) for each of them.
  template <class F>
  inline void each(F f) const {
    for (int d = planes.begin; d < planes.end; ++d)
      for (int h = rows.begin; h < rows.end; ++h) {
        const long row = (task.origin[0] + d * task.dilations[0]) * task.input_plane +
                         (task.origin[1] + h * task.dilations[1]) * task.input_row;
        const int tap = (d * task.kernel[1] + h) * task.kernel[2];
        for (int c = columns.begin; c < columns.end; ++c)
          f(row + static_cast<long>(left + c * task.dilations[2]) * kBlock, tap + c);
      }
  }
};

// Calls f(window, its taps) for every window of the row.
template <class F>
inline void for_windows(const PoolTask& task, F f) {
  const Range planes = inside(task.origin[0], task.kernel[0], task.dilations[0], task.size[0]);
  const Range rows = inside(task.origin[1], task.kernel[1], task.dilations[1], task.size[1]);
  for (int w = 0; w < task.windows; ++w) {
    const int left = task.origin[2] + w * task.strides[2];
    f(w, Taps{task, planes, rows, inside(left, task.kernel[2], task.dilations[2], task.size[2]), left});
  }
}

}  // namespace

// Values that rounding alone tells apart count as equal, so that the first of them wins: what a rounding error is worth
// follows from the largest value of the window in any channel of the block.
void max_pool(const PoolTask& task, float* output, int32_t* winners) {
  for_windows(task, [&](int window, const Taps& taps) {
    vec largest = vec{};
    if (task.margin > 0)
      taps.each([&](long offset, int) {
        for (int v = 0; v < kBlock; v += kLanes) {
          const vec value = load(task.input + offset + v), size = value < 0 ? -value : value;
          largest = size > largest ? size : largest;
        }
      });
    const vec margin = splat(task.margin * lanes_max(largest));
    for (int v = 0; v < kVectors; ++v) {
      vec best = vec{}, held = vec{};  // the largest value, and that of the winner
      ivec winner = ivec{} - 1;
      taps.each([&](long offset, int tap) {
        const vec value = load(task.input + offset + v * kLanes);
        const ivec first = winner < 0, wins = first | (value > held + margin);
        best = (first | (value > best)) ? value : best;
        held = wins ? value : held;
        winner = wins ? tap - ivec{} : winner;
      });
      store(output + window * kBlock + v * kLanes, best);
      store(winners + window * kBlock + v * kLanes, winner);
    }
  });
}

void max_unpool(const PoolTask& task, const float* r, const int32_t* winners, float* out) {
  for_windows(task, [&](int window, const Taps& taps) {
    for (int v = 0; v < kVectors; ++v) {
      const long at = window * kBlock + v * kLanes;
      const vec received = load(r + at);
      const ivec winner = load(winners + at);
      taps.each([&](long offset, int tap) {
        float* target = out + offset + v * kLanes;
        store(target, load(target) + (winner == tap ? received : vec{}));
      });
    }
  });
}

void sum_pool(const PoolTask& task, const float* factors, float* output) {
  for_windows(task, [&](int window, const Taps& taps) {
    for (int v = 0; v < kVectors; ++v) {
      vec total = vec{};
      taps.each([&](long offset, int) { total += load(task.input + offset + v * kLanes); });
      store(output + window * kBlock + v * kLanes, factors[window] * total);
    }
  });
}

void sum_unpool(const PoolTask& task, const float* factors, const float* s, float* out) {
  for_windows(task, [&](int window, const Taps& taps) {
    for (int v = 0; v < kVectors; ++v) {
      const vec share = factors[window] * load(s + window * kBlock + v * kLanes);
      taps.each([&](long offset, int) {
        float* target = out + offset + v * kLanes;
        store(target, load(target) + share);
      });
    }
  });
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
