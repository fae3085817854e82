// Convolution to a few channels: what the dense kernel would do with most lanes of its output blocks empty, as on the
// way back to an image, or to parts of one.
//
// Loop order: tiles of pixels; then input block, tap; innermost the tile. Here the vectors run over input channels: a
// pixel's 16 channels are loaded once and multiplied with the weights of each output channel, and the lanes are added
// up at the end of the tile.
//
// Tile: 6 pixels x up to 4 outputs or 4 x 6, 24 accumulators. A visit loads 10 vectors for 24 multiply-adds.
#include "ahead.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

template <int Pixels, int Targets>
void tile(const NarrowTask& task, const long* in, const long* out, Fetching<>& input) {
  vec sums[Pixels][Targets];
  for (int i = 0; i < Pixels; ++i)
    for (int t = 0; t < Targets; ++t) sums[i][t] = vec{};
  const float* weights = task.weights;
  for (int b = 0; b < task.blocks; ++b, weights += task.kernel_taps * Targets * kBlock) {
    input.fetch(b * task.input_block);
    for (int tap = 0; tap < task.tap_count; ++tap) {
      const float* x = task.input + b * task.input_block + task.taps[tap].input;
      const float* w = weights + task.taps[tap].index * Targets * kBlock;
      for (int v = 0; v < kBlock; v += kLanes) {
        vec row[Targets];
#pragma GCC unroll 6
        for (int t = 0; t < Targets; ++t) row[t] = load(w + t * kBlock + v);
#pragma GCC unroll 8
        for (int i = 0; i < Pixels; ++i) {
          const vec value = load(x + in[i] + v);
#pragma GCC unroll 6
          for (int t = 0; t < Targets; ++t) sums[i][t] += value * row[t];
        }
      }
    }
  }
  input.move_on();
  constexpr int kSums = Pixels * Targets;
  alignas(64) float found[(kSums + kLanes - 1) / kLanes * kLanes];
  lanes_sums<kSums>(&sums[0][0], found);
#pragma GCC unroll 8
  for (int i = 0; i < Pixels; ++i) {
    float* target = task.output + out[i];
    for (int b = 0; b < task.output_blocks; ++b)
      for (int v = 0; v < kBlock; v += kLanes) store(target + b * task.output_block + v, vec{});
#pragma GCC unroll 6
    for (int t = 0; t < Targets; ++t) target[task.target[t]] = found[i * Targets + t];
  }
}

// Full tiles of `Pixels`, then a smaller one for the rest.
template <int Pixels, int Targets>
void tiles(const NarrowTask& task, const long* in, const long* out, int count, Fetching<>& input) {
  for (; count >= Pixels; count -= Pixels, in += Pixels, out += Pixels) tile<Pixels, Targets>(task, in, out, input);
  if constexpr (Pixels > 1) {
    if (count > 0) tiles<Pixels - 1, Targets>(task, in, out, count, input);
  }
}

template <int Pixels, int Targets>
void pixels_to(const NarrowTask& task) {
  Fetching<> input(task.next_input, (task.pixels + Pixels - 1) / Pixels);
  tiles<Pixels, Targets>(task, task.input_pixels, task.output_pixels, task.pixels, input);
}

}  // namespace

void narrow(const NarrowTask& task) {
  switch (task.targets) {
    case 6:
      return pixels_to<4, 6>(task);
    case 5:
      return pixels_to<4, 5>(task);
    case 4:
      return pixels_to<6, 4>(task);
    case 3:
      return pixels_to<6, 3>(task);
    case 2:
      return pixels_to<6, 2>(task);
    default:
      return pixels_to<6, 1>(task);
  }
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
