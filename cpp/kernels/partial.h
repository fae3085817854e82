// Long sums in parts. Numbers of one sign that are added one by one in float leave a total that is off by sqrt(n / 3)
// roundings or so, because all of them are rounded at the size of the total; and relevance is divided by such totals,
// or by the little that two of opposite signs leave. So a kernel adds up about kPartialSum products from zero, and then
// adds what it has to its output: for 2,000 products a quarter of the error, for 2 % of the time.
#pragma once

#include "vector.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

constexpr int kPartialSum = 128;

// Input blocks whose products make one partial sum; a phase of a strided adjoint may have no taps.
constexpr int partial_blocks(int taps) {
  const int products = kBlock * (taps > 1 ? taps : 1);
  return products < kPartialSum ? kPartialSum / products : 1;
}

// The first partial sum of an output, or another one.
inline void put_partial(float* p, vec sum, bool first) { store(p, first ? sum : load(p) + sum); }

}  // namespace
}  // namespace LRPFAST_ISA
}  // namespace lrpfast
