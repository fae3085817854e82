// Depthwise convolution: one block of channels at some pixels, each channel with its own taps.
//
// Loop order: rows of pixels that lie side by side; tiles of a row; then runs of taps that lie side by side; innermost
// the values that tile and run reach. The vectors run over channels. A run's weights stay in registers, and each value
// is loaded once for all pixels that it belongs to, 9 loads for 35 multiply-adds of 7 pixels and 5 taps: with a load
// for each, the kernel would live on the loads. With strides or dilations nothing is shared, and it does.
//
// Tile: up to 14 pixels with AVX-512, 8 elsewhere, and as even as the row allows: together with a run of 7 taps and one
// value they fit into the registers.
#include "ahead.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kMost = 14;
#else
constexpr int kMost = 8;
#endif

template <int Pixels, int Run>
void tile(const DepthwiseTask& task, const long* in, const long* out) {
  for (int v = 0; v < kBlock; v += kLanes) {
    vec sums[Pixels]{};
    for (int t = 0; t < task.tap_count; t += Run) {
      const float* x = task.input + in[0] + task.taps[t].input + v;
      vec w[Run];
#pragma GCC unroll 8
      for (int i = 0; i < Run; ++i) w[i] = load(task.weights + task.taps[t + i].index * kBlock + v);
#pragma GCC unroll 32
      for (int j = 0; j < Pixels + Run - 1; ++j) {
        vec value = load(x + j * kBlock);
        in_register(value);
#pragma GCC unroll 8
        for (int i = 0; i < Run; ++i)
          if (j >= i && j - i < Pixels) sums[j - i] += value * w[i];
      }
    }
    for (int i = 0; i < Pixels; ++i) store(task.output + out[i] + v, sums[i]);
  }
}

// Pixels that lie anywhere.
template <int Pixels>
void loose_tile(const DepthwiseTask& task, const long* in, const long* out) {
  for (int v = 0; v < kBlock; v += kLanes) {
    vec sums[Pixels]{};
    for (int t = 0; t < task.tap_count; ++t) {
      const float* x = task.input + task.taps[t].input + v;
      const vec w = load(task.weights + task.taps[t].index * kBlock + v);
#pragma GCC unroll 16
      for (int i = 0; i < Pixels; ++i) sums[i] += load(x + in[i]) * w;
    }
    for (int i = 0; i < Pixels; ++i) store(task.output + out[i] + v, sums[i]);
  }
}

template <int Pixels, int Run>
void tile_of(int pixels, const DepthwiseTask& task, const long* in, const long* out) {
  if constexpr (Pixels > 1)
    if (pixels < Pixels) return tile_of<Pixels - 1, Run>(pixels, task, in, out);
  if constexpr (Run == 1)
    loose_tile<Pixels>(task, in, out);
  else
    tile<Pixels, Run>(task, in, out);
}

template <int Run>
void rows_of(const DepthwiseTask& task) {
  const int row = Run == 1 ? task.pixels : task.row, tiles = (row + kMost - 1) / kMost;
  const long visits = static_cast<long>((task.pixels + row - 1) / row) * tiles;
  Fetching<> input(task.next_input, visits), upcoming(task.upcoming, visits);
  Fetching<true> output(task.destination.rows, visits);
  for (int first = 0; first < task.pixels; first += row)
    for (int i = 0; i < tiles; ++i) {
      const int begin = static_cast<int>(static_cast<long>(row) * i / tiles);
      const int past = static_cast<int>(static_cast<long>(row) * (i + 1) / tiles);
      input.fetch_and_move_on();
      upcoming.fetch_and_move_on();
      output.fetch_and_move_on();
      tile_of<kMost, Run>(past - begin, task, task.input_pixels + first + begin, task.output_pixels + first + begin);
    }
}

}  // namespace

void depthwise(const DepthwiseTask& task) {
  switch (task.run) {
    case 2:
      return rows_of<2>(task);
    case 3:
      return rows_of<3>(task);
    case 4:
      return rows_of<4>(task);
    case 5:
      return rows_of<5>(task);
    case 7:
      return rows_of<7>(task);
    default:
      return rows_of<1>(task);
  }
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
