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
  inline long offset(int d, int h, int c) const { return offset(d, h, c, task.input_row); }
  inline long offset(int d, int h, int c, long row) const {
    return (task.origin[0] + d * task.dilations[0]) * task.input_plane +
           (task.origin[1] + h * task.dilations[1]) * row + static_cast<long>(left + c * task.dilations[2]) * kBlock;
  }
  inline int tap(int d, int h, int c) const { return (d * task.kernel[1] + h) * task.kernel[2] + c; }
  inline long first_offset() const { return offset(planes.begin, rows.begin, columns.begin); }
  inline int first_tap() const { return tap(planes.begin, rows.begin, columns.begin); }
  inline const float* shown(int d, int h, int c) const { return task.shown + offset(d, h, c, task.shown_row); }
  inline const float* shown(int tap) const {
    const int h = tap / task.kernel[2];
    return shown(h / task.kernel[1], h % task.kernel[1], tap % task.kernel[2]);
  }

  // Calls f(offset, tap) for each of them.
  template <class F>
  inline void each(F f) const {
    for (int d = planes.begin; d < planes.end; ++d)
      for (int h = rows.begin; h < rows.end; ++h)
        for (int c = columns.begin; c < columns.end; ++c) f(offset(d, h, c), tap(d, h, c));
  }
  // Calls f(what it shows, tap).
  template <class F>
  inline void each_shown(F f) const {
    for (int d = planes.begin; d < planes.end; ++d)
      for (int h = rows.begin; h < rows.end; ++h)
        for (int c = columns.begin; c < columns.end; ++c) f(shown(d, h, c), tap(d, h, c));
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

inline bool differ(const float* a, const float* b, float margin) {
  for (int i = 0; i < kBlock; ++i) {
    const float more = a[i] - b[i];
    if (more > margin || more < -margin) return true;
  }
  return false;
}

// The first tap that shows the same as this one, which is at `shown`.
inline int first_alike(const Taps& taps, int tap, const float* shown, float margin) {
  for (int d = taps.planes.begin; d < taps.planes.end; ++d)
    for (int h = taps.rows.begin; h < taps.rows.end; ++h)
      for (int c = taps.columns.begin; c < taps.columns.end; ++c) {
        const int other = taps.tap(d, h, c);
        if (other >= tap || !differ(taps.shown(d, h, c), shown, margin)) return other;
      }
  return tap;
}

// Whether a place may show the same as a winner: it would be as near to it in the winner's channel. Hardly any window
// has one, and all others are done with that. A winner of zero is the first of what ReLU has set to zero.
inline bool may_tie(const Taps& taps, const ivec (&winner)[kVectors], float margin) {
  vec won[kVectors] = {}, near[kVectors] = {};
  taps.each_shown([&](const float* shown, int tap) {
    for (int v = 0; v < kVectors; ++v) won[v] = winner[v] == tap ? load(shown + v * kLanes) : won[v];
  });
  taps.each_shown([&](const float* shown, int) {
    for (int v = 0; v < kVectors; ++v)
      near[v] += magnitude(load(shown + v * kLanes) - won[v]) <= margin ? splat(1) : vec{};
  });
  unsigned found = 0;
  for (int v = 0; v < kVectors; ++v) found |= nonzero_lanes((near[v] > 1) & (won[v] != 0) ? splat(1) : vec{});
  return found != 0;
}

// By how much values may differ that show the same.
inline float margin_of(const PoolTask& task, const Taps& taps) {
  vec most = vec{};
  taps.each_shown([&](const float* shown, int) {
    for (int v = 0; v < kVectors; ++v) {
      const vec size = magnitude(load(shown + v * kLanes));
      most = size > most ? size : most;
    }
  });
  return task.margin * lanes_max(most);
}

// The largest values of a window, and the first tap that has each: two walks, forward and back, a step of which waits
// for one operation of the step before.
inline void find_winners(const PoolTask& task, const Taps& taps, vec (&largest)[kVectors], ivec (&winner)[kVectors]) {
  const long begin = taps.first_offset();
  for (int v = 0; v < kVectors; ++v) largest[v] = load(task.input + begin + v * kLanes);
  taps.each([&](long offset, int) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const vec value = load(task.input + offset + v * kLanes);
      largest[v] = value > largest[v] ? value : largest[v];
    }
  });
  for (int v = 0; v < kVectors; ++v) winner[v] = taps.first_tap() - ivec{};
  taps.each_backwards([&](long offset, int tap) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v)
      winner[v] = load(task.input + offset + v * kLanes) == largest[v] ? tap - ivec{} : winner[v];
  });
}

// Hands what a tap won to the first one that shows the same: rounding alone tells them apart. Not to one that ReLU has
// set to zero, for it could not hand on what it received.
inline void settle_ties(const PoolTask& task, const Taps& taps, float margin, const vec (&largest)[kVectors],
                        ivec (&winner)[kVectors]) {
  if (!may_tie(taps, winner, margin)) return;
  taps.each_shown([&](const float* shown, int tap) {
    unsigned won = 0;
    for (int v = 0; v < kVectors; ++v) won |= nonzero_lanes(winner[v] == tap ? splat(1) : vec{});
    if (!won) return;
    const int first = first_alike(taps, tap, shown, margin);
    if (first == tap) return;
    const int row = first / task.kernel[2];
    const long offset = taps.offset(row / task.kernel[1], row % task.kernel[1], first % task.kernel[2]);
    for (int v = 0; v < kVectors; ++v) {
      const vec value = load(task.input + offset + v * kLanes);
      winner[v] = (winner[v] == tap) & ((value > 0) | (largest[v] <= 0)) ? first - ivec{} : winner[v];
    }
  });
}

}  // namespace

// Relevance of every window in equal parts to its largest values, or in proportion to all of them. Two walks: what is
// divided by, then the shares. What shows the same as the winner is as large.
void share_pool(const PoolTask& task, PoolShare how, float stabilizer, const float* r, float* out) {
  for_windows(task, [&](int window, const Taps& taps) {
    vec largest[kVectors], total[kVectors] = {}, share[kVectors];
    ivec winner[kVectors];
    find_winners(task, taps, largest, winner);
    const float margin = task.margin > 0 ? margin_of(task, taps) : 0;
    if (task.margin > 0) settle_ties(task, taps, margin, largest, winner);
    const auto each_part = [&](auto f) {
      taps.each([&](long offset, int tap) {
        const int first =
            how == PoolShare::ties && task.margin > 0 ? first_alike(taps, tap, taps.shown(tap), margin) : tap;
        for (int v = 0; v < kVectors; ++v) {
          const vec value = load(task.input + offset + v * kLanes);
          const ivec tied = (value == largest[v]) | ((winner[v] == first) & ((value > 0) | (largest[v] <= 0)));
          f(offset, v, how == PoolShare::values ? value : tied ? splat(1) : vec{});
        }
      });
    };
    each_part([&](long, int v, vec part) { total[v] += part; });
    for (int v = 0; v < kVectors; ++v) {
      const vec divisor = total[v] + (total[v] >= 0 ? splat(stabilizer) : splat(-stabilizer));
      share[v] = divisor == 0 ? vec{} : load(r + window * kBlock + v * kLanes) / divisor;
    }
    each_part([&](long offset, int v, vec part) {
      float* target = out + offset + v * kLanes;
      store(target, load(target) + share[v] * part);
    });
  });
}

void max_pool(const PoolTask& task, float* output, int32_t* winners) {
  for_windows(task, [&](int window, const Taps& taps) {
    vec largest[kVectors];
    ivec winner[kVectors];
    find_winners(task, taps, largest, winner);
    if (task.margin > 0) settle_ties(task, taps, margin_of(task, taps), largest, winner);
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
