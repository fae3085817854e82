// Walks over some rows of one block, for elementwise kernels.
#pragma once

#include "vector.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

inline vec load(In x, int row, long i) { return load(x.at + row * x.row + i); }
inline void store(Out y, int row, long i, vec v) { store(y.at + row * y.row + i, v); }

// Calls f(row, position of a vector in it) for the whole area.
template <class F>
inline void for_vectors(Area area, F f) {
  for (int row = 0; row < area.rows; ++row)
    for (long i = 0; i < area.floats; i += kLanes) f(row, i);
}

template <class F>
inline void map(const float* bias, In x, Out y, Area area, F f) {
  if (bias == nullptr) return for_vectors(area, [&](int row, long i) { store(y, row, i, f(load(x, row, i))); });
  for_vectors(area, [&](int row, long i) { store(y, row, i, f(load(x, row, i) + load_loose(bias + i % kBlock))); });
}

}  // namespace
}  // namespace LRPFAST_ISA
}  // namespace lrpfast
