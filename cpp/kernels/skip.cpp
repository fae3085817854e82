// Convolution that visits only the inputs that are not zero: after a ReLU many are, and so is the relevance behind a
// max pool for all but the winners. What is left out would have added zeros, so nothing is lost.
//
// Loop order: rows, pixels of the input; then the non-zero channels of a group of blocks; innermost the taps of one
// kernel row and the vectors of the panel. A visit to a pixel takes its channels that are not zero, as bits, one after
// the other, and adds their weights, scaled, to the sums of the outputs that the pixel reaches. With three taps these
// are three columns, of which the next pixel shares two: they rotate through registers, and each pixel adds one to its
// total and begins another from zero, for the reason that partial.h gives.
//
// Tile: 3 columns x 4 vectors (12 sums, the most that 16 registers hold) over 2 blocks of inputs for 3 taps, 8 vectors
// over 4 blocks for one. Every multiply-add reads its weight from memory, so the weights of a group have to stay in the
// first level cache while pixels go by: 24 and 32 KiB. The end of a visit is a branch that nobody can predict: groups
// of several blocks make visits longer, and a pixel's bits are read a visit ahead, so that a wrong guess is known at
// once (a quarter faster).
#include "sums.h"
#include "visit.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

// A pixel to the three columns it reaches: the first is that of the last tap.
template <int Width>
[[gnu::always_inline]] inline void scatter(const SkipTask& task, const Visit& visit, Sums<Width>& first,
                                           Sums<Width>& middle, Sums<Width>& last) {
  constexpr int kTap = Width * kLanes;
  for (uint64_t left = visit.nonzero; left != 0; left &= left - 1) {
    const long channel = __builtin_ctzll(left);
    const vec value = splat(visit.values[channel]);
    const float* weights = task.weights + channel * (3 * kTap);
    first.add(value, weights + 2 * kTap);
    middle.add(value, weights + kTap);
    last.add(value, weights);
  }
}

// A pixel to the one column it reaches.
template <int Width>
[[gnu::always_inline]] inline void add_up(const SkipTask& task, const Visit& visit, float* to) {
  const auto add_first = [&](uint64_t nonzero, Sums<Width>& sums) {
    const long channel = __builtin_ctzll(nonzero);
    sums.add(splat(visit.values[channel]), task.weights + channel * (Width * kLanes));
  };
  Sums<Width> all{}, others{};
  for (uint64_t left = visit.nonzero; left != 0; left &= left - 1) {
    add_first(left, all);
    if constexpr (Width <= kFewest) {
      left &= left - 1;
      if (left == 0) break;
      add_first(left, others);
    }
  }
  if constexpr (Width <= kFewest) all.add(others);
  all.add_to(to, task.sum_block);
}

template <int Width>
void row_of_three(const SkipTask& task, const float* pixel, float* sums, Next& next) {
  const long block = task.sum_block, step = task.input_column;
  Visit visits[3];
  Sums<Width> a{}, b{}, c;
  visits[0].read(task.input_block, task.blocks, pixel);
  int left = task.columns;
  for (; left >= 3; left -= 3, pixel += 3 * step, sums += 3 * kBlock) {
    next.fetch();
    visits[1].read(task.input_block, task.blocks, pixel + step);
    c = {};
    scatter(task, visits[0], a, b, c);
    a.add_to(sums, block);
    visits[2].read(task.input_block, task.blocks, pixel + 2 * step);
    a = {};
    scatter(task, visits[1], b, c, a);
    b.add_to(sums + kBlock, block);
    if (left > 3) visits[0].read(task.input_block, task.blocks, pixel + 3 * step);
    b = {};
    scatter(task, visits[2], c, a, b);
    c.add_to(sums + 2 * kBlock, block);
  }
  if (left > 0) next.fetch();
  for (; left > 0; --left, pixel += step, sums += kBlock) {
    c = {};
    scatter(task, visits[0], a, b, c);
    a.add_to(sums, block);
    a = b;
    b = c;
    if (left > 1) visits[0].read(task.input_block, task.blocks, pixel + step);
  }
  a.add_to(sums, block);
  b.add_to(sums + kBlock, block);
}

template <int Width>
void row_of_one(const SkipTask& task, const float* pixel, float* sums, Next& next) {
  const long step = task.input_column;
  Visit visits[2];
  visits[0].read(task.input_block, task.blocks, pixel);
  int left = task.columns;
  for (; left >= 2; left -= 2, pixel += 2 * step, sums += 2 * kBlock) {
    next.fetch();
    visits[1].read(task.input_block, task.blocks, pixel + step);
    add_up<Width>(task, visits[0], sums);
    if (left > 2) visits[0].read(task.input_block, task.blocks, pixel + 2 * step);
    add_up<Width>(task, visits[1], sums + kBlock);
  }
  if (left > 0) {
    next.fetch();
    add_up<Width>(task, visits[0], sums);
  }
}

template <int Width>
void rows_of(const SkipTask& task) {
  Next next(task, task.taps == 3 ? 3 : 2);
  for (int y = 0; y < task.rows; ++y) {
    const float* input = task.input + y * task.input_row;
    float* sums = task.sums + y * task.sum_row;
    if (task.taps == 3) {
      if constexpr (Width <= 4) row_of_three<Width>(task, input, sums, next);
    } else {
      row_of_one<Width>(task, input, sums, next);
    }
  }
}

template <int Width>
void rows_of_width(int width, const SkipTask& task) {
  if (width == Width) return rows_of<Width>(task);
  if constexpr (Width > kVectors) rows_of_width<Width - kVectors>(width, task);
}

}  // namespace

void skip(const SkipTask& task) { rows_of_width<8>(task.panel * kVectors, task); }

long nonzeros(const float* x, long floats) {
  long count = 0;
  for (long i = 0; i < floats; i += kLanes) count += __builtin_popcount(nonzero_lanes(load(x + i)));
  return count;
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
