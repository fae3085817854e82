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
  if (start >= 0 && start + (kernel - 1) * dilation < size) return {0, kernel};  // most of them; divisions take longer
  int begin = start < 0 ? (-start + dilation - 1) / dilation : 0;
  int end = start >= size ? 0 : (size - 1 - start) / dilation + 1;
  return {begin, end < kernel ? end : kernel};
}

// The taps of one window that lie inside the map.
struct Taps {
  const PoolTask& task;
  Range planes, rows, columns;
  int left;

  // Where a tap is in the input, in floats, and which one it is.
  inline long offset(int d, int h, int c) const {
    return (task.origin[0] + d * task.dilations[0]) * task.input_plane +
           (task.origin[1] + h * task.dilations[1]) * task.input_row +
           static_cast<long>(left + c * task.dilations[2]) * kBlock;
  }
  inline int tap(int d, int h, int c) const { return (d * task.kernel[1] + h) * task.kernel[2] + c; }
  inline long first_offset() const { return offset(planes.begin, rows.begin, columns.begin); }
  inline int first_tap() const { return tap(planes.begin, rows.begin, columns.begin); }

  // Calls f(offset, tap) for each of them.
  template <class F>
  inline void each(F f) const {
    for (int d = planes.begin; d < planes.end; ++d)
      for (int h = rows.begin; h < rows.end; ++h)
        for (int c = columns.begin; c < columns.end; ++c) f(offset(d, h, c), tap(d, h, c));
  }
  template <class F>
  inline void each_backwards(F f) const {
    for (int d = planes.end - 1; d >= planes.begin; --d)
      for (int h = rows.end - 1; h >= rows.begin; --h)
        for (int c = columns.end - 1; c >= columns.begin; --c) f(offset(d, h, c), tap(d, h, c));
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

// Whether a value counts as equal to the largest one of its window, up to the margin. Nothing that ReLU would set to
// zero comes up to a positive value, for it could not hand on what it received.
inline ivec comes_up_to(vec largest, vec value, vec margin) {
  return (value >= largest - margin) & ((value > 0) | (largest <= 0));
}

// The largest values of a window, and the margin within which values count as equal to them.
inline vec find_largest(const PoolTask& task, const Taps& taps, vec (&largest)[kVectors]) {
  const long begin = taps.first_offset();
  for (int v = 0; v < kVectors; ++v) largest[v] = load(task.input + begin + v * kLanes);
  vec most = vec{};
  taps.each([&](long offset, int) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const vec value = load(task.input + offset + v * kLanes);
      largest[v] = value > largest[v] ? value : largest[v];
      if (task.margin > 0) most = magnitude(value) > most ? magnitude(value) : most;
    }
  });
  return splat(task.margin > 0 ? task.margin * lanes_max(most) : 0);
}

}  // namespace

// Relevance of every window in equal parts to its largest values, or in proportion to all of them. Two walks: what is
// divided by, then the shares.
void share_pool(const PoolTask& task, PoolShare how, float stabilizer, const float* r, float* out) {
  for_windows(task, [&](int window, const Taps& taps) {
    vec largest[kVectors], total[kVectors] = {};
    const vec margin = find_largest(task, taps, largest);
    const auto part = [&](long offset, int v) {
      const vec value = load(task.input + offset + v * kLanes);
      if (how == PoolShare::values) return value;
      return comes_up_to(largest[v], value, margin) ? splat(1) : vec{};
    };
    taps.each([&](long offset, int) {
      for (int v = 0; v < kVectors; ++v) total[v] += part(offset, v);
    });
    for (int v = 0; v < kVectors; ++v) {
      const vec divisor = total[v] + (total[v] >= 0 ? splat(stabilizer) : splat(-stabilizer));
      const vec share = divisor == 0 ? vec{} : load(r + window * kBlock + v * kLanes) / divisor;
      taps.each([&](long offset, int) {
        float* target = out + offset + v * kLanes;
        store(target, load(target) + share * part(offset, v));
      });
    }
  });
}

// Values that rounding alone tells apart count as equal, so that the first of them wins: what a rounding error is worth
// follows from the largest value of the window in any channel of the block.
//
// One walk finds the largest value, a second one back to the first tap who comes up to it: a step of either waits for
// one operation of the step before.
void max_pool(const PoolTask& task, float* output, int32_t* winners) {
  for_windows(task, [&](int window, const Taps& taps) {
    vec largest[kVectors];
    const vec margin = find_largest(task, taps, largest);
    ivec winner[kVectors];
    for (int v = 0; v < kVectors; ++v) winner[v] = taps.first_tap() - ivec{};
    taps.each_backwards([&](long offset, int tap) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const vec value = load(task.input + offset + v * kLanes);
        winner[v] = comes_up_to(largest[v], value, margin) ? tap - ivec{} : winner[v];
      }
    });
    for (int v = 0; v < kVectors; ++v) {
      store(output + window * kBlock + v * kLanes, largest[v]);
      store(winners + window * kBlock + v * kLanes, winner[v]);
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
