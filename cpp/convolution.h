// Convolutions and their adjoints: packed weights, geometry, and the division of the work into tasks.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tensor.h"

namespace lrpfast {

// How the kernel slides; `before` is the padding ahead of the first element of each axis.
struct Window {
  Size3 kernel, strides, dilations, before;
};

// Weights in the order in which the kernels read them, for one direction.
class PackedWeights {
 public:
  // `weights` is (outputs, inputs / groups, taps) of the convolution; `adjoint` packs the transposed map, which takes
  // `outputs` channels to `inputs`.
  PackedWeights(const float* weights, int outputs, int inputs_per_group, int taps, int groups, bool adjoint);

  struct Panel {
    int first_output_block, output_blocks;
    int first_input_block, input_blocks, last_channels;
    std::int64_t offset;
  };
  int source_channels, target_channels, taps;
  bool adjoint, depthwise;
  std::vector<Panel> panels;
  const float* data() const { return memory_.get(); }
  std::int64_t floats() const { return floats_; }

 private:
  void pack_depthwise(const float* weights);
  void pack_panels(const float* weights, int outputs, int inputs_per_group, int groups);
  Pool pool_;
  std::shared_ptr<float> memory_;
  std::int64_t floats_ = 0;
};

// target (+)= W source + bias, or W' source without bias for weights packed as adjoint. The halo of `source` must be
// as wide as the taps reach; std::invalid_argument if not. `bias` has target.blocks * 16 floats, or is null.
void convolve(const PackedWeights& weights, const Window& window, const Tensor& source, const Tensor& target,
              const float* bias, bool accumulate, int threads);

}  // namespace lrpfast
