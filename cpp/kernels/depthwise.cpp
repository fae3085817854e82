// Depthwise convolution: one block of channels at some pixels, each channel with its own taps.
//
// Loop order: tiles of 4 pixels; then taps; innermost the tile. The vectors run over channels, so a tap costs one load
// of weights for the tile and one load and multiply-add per pixel: the kernel lives on memory bandwidth, and 4 pixels
// are enough to hide the latency of the multiply-add.
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

}  // namespace

void depthwise(const DepthwiseTask& task) {
  int i = 0;
  for (; i + 4 <= task.pixels; i += 4) tile<4>(task, task.input_pixels + i, task.output_pixels + i);
  for (; i < task.pixels; ++i) tile<1>(task, task.input_pixels + i, task.output_pixels + i);
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
