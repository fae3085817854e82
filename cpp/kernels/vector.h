// The widest vector of the instruction set that this copy of the file is compiled for.
#pragma once

#include <stdint.h>

#include "kernels.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif
constexpr int kVectors = kBlock / kLanes;  // vectors in a block of channels

typedef float vec __attribute__((vector_size(4 * kLanes), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * kLanes), may_alias));

typedef float loose_vec __attribute__((vector_size(4 * kLanes), may_alias, aligned(4)));

// For what the caller owns, such as a bias; tensors and packed weights are aligned.
inline vec load_loose(const float* p) { return *reinterpret_cast<const loose_vec*>(p); }
inline vec load(const float* p) { return *reinterpret_cast<const vec*>(p); }
inline void store(float* p, vec v) { *reinterpret_cast<vec*>(p) = v; }
inline ivec load(const int32_t* p) { return *reinterpret_cast<const ivec*>(p); }
inline void store(int32_t* p, ivec v) { *reinterpret_cast<ivec*>(p) = v; }
// For a value with several uses: left alone, compilers load it anew for each of them.
inline void in_register(vec& x) {
#if defined(__aarch64__)
  asm("" : "+w"(x));
#else
  asm("" : "+v"(x));
#endif
}
inline vec splat(float x) { return x - vec{}; }
// As whole numbers, for which compilers know that this is a maximum: floats are in the same order, up to zero and from
// there on.
inline vec positive(vec x) {
  const ivec bits = reinterpret_cast<ivec>(x);
  return reinterpret_cast<vec>(bits > 0 ? bits : ivec{});
}
inline vec negative(vec x) {
  const ivec bits = reinterpret_cast<ivec>(x);
  return reinterpret_cast<vec>(bits < 0 ? bits : ivec{});
}

inline vec magnitude(vec x) { return x < 0 ? -x : x; }

// A bit for each lane that is not zero, the only thing here that the vector extensions have no word for.
inline unsigned nonzero_lanes(vec x) {
#if defined(__AVX512F__)
  constexpr int kNotEqualOrUnordered = 4, kAllLanes = -1, kCurrentRounding = 4;
  return __builtin_ia32_cmpps512_mask(x, vec{}, kNotEqualOrUnordered, kAllLanes, kCurrentRounding);
#elif defined(__AVX2__)
  return __builtin_ia32_movmskps256(reinterpret_cast<vec>(x != vec{}));
#elif defined(__SSE__)
  return __builtin_ia32_movmskps(reinterpret_cast<vec>(x != vec{}));
#else
  unsigned bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= static_cast<unsigned>(x[i] != 0) << i;
  return bits;
#endif
}

// Every lane where the one is whose number differs in the bit `Step`.
template <int Step>
struct Swap {
  alignas(64) int32_t lanes[kLanes];
  constexpr Swap() : lanes{} {
    for (int i = 0; i < kLanes; ++i) lanes[i] = i ^ Step;
  }
};

template <int Step>
inline vec swapped(vec v) {
#if defined(__clang__)
  vec found;
  for (int i = 0; i < kLanes; ++i) found[i] = v[i ^ Step];
  return found;
#else
  static constexpr Swap<Step> kSwap;
  return __builtin_shuffle(v, load(kSwap.lanes));
#endif
}

// The sum of all lanes, always in the same order: halves added up, then quarters.
template <int Step = kLanes / 2>
inline float lanes_sum(vec v) {
  if constexpr (Step == 0)
    return v[0];
  else
    return lanes_sum<Step / 2>(v + swapped<Step>(v));
}

template <int Step = kLanes / 2>
inline float lanes_max(vec v) {
  if constexpr (Step == 0) {
    return v[0];
  } else {
    const vec other = swapped<Step>(v);
    return lanes_max<Step / 2>(other > v ? other : v);
  }
}

// Which lanes of two vectors side by side go where when their segments are folded: each vector holds `Segments` sums in
// as many segments, to be folded in half, and the result those of both, one behind the other.
template <int Segments>
struct Fold {
  alignas(64) int32_t low[kLanes], high[kLanes];
  constexpr Fold() : low{}, high{} {
    constexpr int kWidth = kLanes / Segments, kHalf = kWidth / 2;
    for (int i = 0; i < kLanes; ++i) {
      const int segment = i / kHalf;  // of the result
      low[i] = segment * kWidth + i % kHalf;
      high[i] = low[i] + kHalf;
    }
  }
};

// The sums of the lanes of each of some vectors, one behind the other: added up like those of one, but a pair of
// vectors is folded into one at every step, so that no lane goes to waste. `sums` holds a multiple of kLanes.
template <int Count, int Segments = 1>
[[gnu::always_inline]] inline void lanes_sums(const vec* v, float* sums) {
#if defined(__clang__)
  for (int i = 0; i < Count; ++i) sums[i] = lanes_sum(v[i]);
#else
  if constexpr (Segments == kLanes) {
#pragma GCC unroll 8
    for (int i = 0; i < Count; ++i) store(sums + i * kLanes, v[i]);
  } else {
    static constexpr Fold<Segments> kFold;
    const ivec low = load(kFold.low), high = load(kFold.high);
    constexpr int kPairs = (Count + 1) / 2;
    vec folded[kPairs];
#pragma GCC unroll 16
    for (int i = 0; i < kPairs; ++i) {
      const vec one = v[2 * i], other = 2 * i + 1 < Count ? v[2 * i + 1] : one;
      folded[i] = __builtin_shuffle(one, other, low) + __builtin_shuffle(one, other, high);
    }
    lanes_sums<kPairs, 2 * Segments>(folded, sums);
  }
#endif
}

}  // namespace
}  // namespace LRPFAST_ISA
}  // namespace lrpfast
