// The adjoint of single pixels with weights that depend on the sign of what they are multiplied with afterwards,
// visiting only what is not zero: for a pixel with values x, with W+ and W- the weights above and below zero,
//
//   y_i = sum over groups g and channels j of (p_g W+_ji + n_g W-_ji) s_gj  where x_i >= 0,
//                                             (n_g W+_ji + p_g W-_ji) s_gj  where x_i < 0.
//
// With u = W_ji, its sign changed where x_i < 0, that is p_g max(u, 0) + n_g min(u, 0), its sign changed back: so the
// weights are there once, whatever the factors, and each is read and multiplied once for either sign.
//
// Loop order: rows, pixels; then the channels of a group of blocks at which any group of the rule is not zero;
// innermost the vectors of the panel. Tile: as in skip.cpp for one tap; the signs, and the second set of sums where two
// products are added up, take as many registers each as the sums.
#include "sums.h"
#include "visit.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

inline vec flipped(vec x, ivec signs) { return reinterpret_cast<vec>(reinterpret_cast<ivec>(x) ^ signs); }

// Which of the weights are multiplied: those that have the sign of x; these and the others, with factors of their own;
// or all with the factor of the others, and these with what theirs is more.
enum class Factors { same, both, more };

// A pixel of the quotients, and a bit for each channel at which any of the groups is not zero.
template <int Groups>
struct Quotients {
  Visit of[Groups];
  uint64_t nonzero;

  inline void read(const SkipTask& task, const BySign& signs, const float* pixel) {
    nonzero = 0;
#pragma GCC unroll 2
    for (int g = 0; g < Groups; ++g) {
      of[g].read(task.input_block, task.blocks, pixel + g * signs.group);
      nonzero |= of[g].nonzero;
    }
  }
  inline float sum(const float* factors, long channel) const {
    float total = factors[0] * of[0].values[channel];
    if constexpr (Groups > 1) total += factors[1] * of[1].values[channel];
    return total;
  }
};

template <int Width, Factors F, int Groups>
[[gnu::always_inline]] inline void add_up(const SkipTask& task, const BySign& by_sign, const Quotients<Groups>& s,
                                          const float* x, float* to) {
  ivec signs[Width];
#pragma GCC unroll 8
  for (int q = 0; q < Width; ++q)
    signs[q] = reinterpret_cast<ivec>(load(x + q / kVectors * by_sign.block + q % kVectors * kLanes)) & INT32_MIN;
  // Of the one product and of the other, or for few vectors of one channel and of the next: two sets of sums, so that
  // enough of them are in flight to hide the latency of the multiply-add.
  Sums<Width> all{}, others{};
  const auto add_first = [&](uint64_t nonzero, Sums<Width>& sums) {
    const long channel = __builtin_ctzll(nonzero);
    const float* weights = task.weights + channel * (Width * kLanes);
    const vec first = splat(s.sum(by_sign.same, channel)), second = splat(s.sum(by_sign.other, channel));
#pragma GCC unroll 8
    for (int q = 0; q < Width; ++q) {
      const vec u = flipped(load(weights + q * kLanes), signs[q]);
      sums.lanes[q] += first * positive(u);
      if constexpr (F != Factors::same) others.lanes[q] += second * (F == Factors::both ? negative(u) : u);
    }
  };
  for (uint64_t left = s.nonzero; left != 0; left &= left - 1) {
    add_first(left, all);
    if constexpr (F == Factors::same && Width <= kFewest) {
      left &= left - 1;
      if (left == 0) break;
      add_first(left, others);
    }
  }
  if constexpr (F != Factors::same || Width <= kFewest) all.add(others);
#pragma GCC unroll 8
  for (int q = 0; q < Width; ++q) all.lanes[q] = flipped(all.lanes[q], signs[q]);
  all.add_to(to, task.sum_block);
}

template <int Width, Factors F, int Groups>
void rows_of(const SkipTask& task, const BySign& by_sign) {
  Next next(task, 2);
  const long step = task.input_column;
  for (int y = 0; y < task.rows; ++y) {
    const float *pixel = task.input + y * task.input_row, *x = by_sign.x + y * by_sign.row;
    float* sums = task.sums + y * task.sum_row;
    Quotients<Groups> visits[2];
    visits[0].read(task, by_sign, pixel);
    for (int left = task.columns; left > 0; left -= 2, pixel += 2 * step, x += 2 * kBlock, sums += 2 * kBlock) {
      next.fetch();
      if (left > 1) visits[1].read(task, by_sign, pixel + step);
      add_up<Width, F>(task, by_sign, visits[0], x, sums);
      if (left == 1) break;
      if (left > 2) visits[0].read(task, by_sign, pixel + 2 * step);
      add_up<Width, F>(task, by_sign, visits[1], x + kBlock, sums + kBlock);
    }
  }
}

BySign with_more(BySign by_sign) {
  by_sign.same[0] -= by_sign.other[0];
  return by_sign;
}

template <int Width>
void rows_of_width(int width, const SkipTask& task, const BySign& by_sign) {
  if (width == Width) {
    const float same = by_sign.same[0], other = by_sign.other[0];
    if (by_sign.groups == 2) return rows_of<Width, Factors::both, 2>(task, by_sign);
    if (other == 0) return rows_of<Width, Factors::same, 1>(task, by_sign);
    if (same < other || other < 0) return rows_of<Width, Factors::both, 1>(task, by_sign);  // the rest would cancel
    return rows_of<Width, Factors::more, 1>(task, with_more(by_sign));
  }
  if constexpr (Width > kVectors) rows_of_width<Width - kVectors>(width, task, by_sign);
}

}  // namespace

void skip_by_sign(const SkipTask& task, const BySign& by_sign) {
  rows_of_width<8>(task.panel * kVectors, task, by_sign);
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
