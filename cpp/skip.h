// Convolution that visits only the inputs that are not zero.
#pragma once

#include <cstdint>
#include <memory>

#include "epilogue.h"
#include "program.h"
#include "tensor.h"

namespace lrpfast {

// Weights of kernels of 1 x 1 or 3 x 3 in the order in which the kernels read them, for one direction.
class SkipWeights {
 public:
  // `weights` is (outputs, inputs, taps) of the convolution, with 1 or 9 taps; `adjoint` packs the transposed map,
  // which takes `outputs` channels to `inputs`. Weights `for_negative` inputs of the convolution are for the adjoint of
  // one tap, which then makes two blocks for each block of inputs, as in PackedWeights. std::invalid_argument for
  // others, or a number of channels below 1.
  SkipWeights(Pool& pool, const float* weights, const float* for_negative, int outputs, int inputs, int taps,
              bool adjoint, int threads);

  int source_channels, target_channels, side;  // `side` is 1 or 3
  bool adjoint;
  int blocks_together;  // of targets, that an epilogue gets one after the other
  int panels;
  // The panel's first target block, or the number of blocks for the one behind the last.
  int first_block(int panel) const;
  // The weights of one kernel row: [channel of the group][tap][block of the panel][16].
  const float* at(int panel, int group, int kernel_row) const {
    return memory_.block.get() + offset(panel, group, kernel_row);
  }
  std::int64_t floats() const { return floats_; }

 private:
  std::int64_t offset(int panel, int group, int kernel_row) const;
  Pool::Memory memory_;
  std::int64_t floats_ = 0;
};

// A step that hands the epilogue W source, or W' source for weights packed as adjoint. The window is that of the
// convolution, in one plane and with dilations of 1: a kernel of 3 x 3 with strides of 1 and up to 2 zeros ahead, or
// one of 1 x 1 without zeros, whose strides must be 1 for the adjoint. No halo is needed, and none is read.
// std::invalid_argument if not, or if the maps do not fit.
BatchStep skip(std::shared_ptr<const SkipWeights> weights, const Window& window, const Tensor& source,
               std::shared_ptr<Epilogue> epilogue);

// A step that runs `sparse` for the samples of `source` of whose values at most a share of `threshold` is not zero, and
// `dense` for the others. The share is that of some rows of its maps, so that finding it costs next to nothing; it
// depends on the sample alone.
BatchStep sparse_or(const BatchStep& sparse, const BatchStep& dense, const Tensor& source, double threshold);

}  // namespace lrpfast
