// Depthwise convolution: one block of channels at some pixels, each channel with its own taps.
//
// Loop order: tiles of pixels; then taps; innermost the tile. The vectors run over channels, so a tap costs one load
// of weights for the tile and one load and multiply-add per pixel: the kernel lives on the loads, and 8 pixels (2 with
// SSE) hide the latency of the multiply-add.
#include "vector.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

template <int Pixels>
void tile(const DepthwiseTask& task, const long* in, const long* out) {
  vec sums[Pixels][kVectors];
  for (int i = 0; i < Pixels; ++i)
    for (int v = 0; v < kVectors; ++v) sums[i][v] = vec{};
  for (int t = 0; t < task.tap_count; ++t) {
    const float* x = task.input + task.taps[t].input;
    const float* w = task.weights + task.taps[t].index * kBlock;
#pragma GCC unroll 16
    for (int i = 0; i < Pixels; ++i)
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[i][v] += load(x + in[i] + v * kLanes) * load(w + v * kLanes);
  }
  for (int i = 0; i < Pixels; ++i)
    for (int v = 0; v < kVectors; ++v) store(task.output + out[i] + v * kLanes, sums[i][v]);
}

// Full tiles of `Pixels`, then a smaller one for the rest.
template <int Pixels>
void tiles(const DepthwiseTask& task, const long* in, const long* out, int count) {
  for (; count >= Pixels; count -= Pixels, in += Pixels, out += Pixels) tile<Pixels>(task, in, out);
  if constexpr (Pixels > 1) {
    if (count > 0) tiles<Pixels - 1>(task, in, out, count);
  }
}

constexpr int kPixels = 16 / (kVectors > 2 ? 2 * kVectors : 2);

}  // namespace

void depthwise(const DepthwiseTask& task) { tiles<kPixels>(task, task.input_pixels, task.output_pixels, task.pixels); }

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
