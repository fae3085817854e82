// The channels of a pixel that are not zero, for the kernels that visit no others.
#pragma once

#include "vector.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

constexpr int kVisited = 4;  // blocks of channels of one visit, at most: a bit for each channel

// The channels of a pixel that take part in a visit, and a bit for each that is not zero. NaN is not zero.
struct Visit {
  alignas(64) float values[kVisited * kBlock];
  uint64_t nonzero;

  inline void read(long block, int blocks, const float* pixel) {
    nonzero = 0;
    for (int b = 0; b < blocks; ++b, pixel += block)
#pragma GCC unroll 4
      for (int v = 0; v < kBlock; v += kLanes) {
        const vec lanes = load(pixel + v);
        store(values + b * kBlock + v, lanes);
        nonzero |= static_cast<uint64_t>(nonzero_lanes(lanes)) << (b * kBlock + v);
      }
  }
};

}  // namespace
}  // namespace LRPFAST_ISA
}  // namespace lrpfast
