// Convolution that visits only the inputs that are not zero.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "epilogue.h"
#include "program.h"
#include "tensor.h"

namespace lrpfast {

// Weights of kernels of 1 x 1 or 3 x 3 in the order in which the kernels read them, for one direction.
class SkipWeights {
 public:
  // `weights` is (outputs, inputs, taps) of the convolution, with 1 or 9 taps; `adjoint` packs the transposed map,
  // which takes `outputs` channels to `inputs`. std::invalid_argument for others, or a number of channels below 1.
  SkipWeights(Pool& pool, const float* weights, int outputs, int inputs, int taps, bool adjoint, int threads);

  int source_channels, target_channels, side;  // `side` is 1 or 3
  bool adjoint;
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

// The same for an adjoint of single pixels whose weights depend on the sign of what the epilogue multiplies with: those
// above zero are multiplied with `same` where that is above zero and with `other` where not, those below the other way
// round. There may be up to kMostBySign groups of such factors (same, other): their sources lie one behind the other in
// whole blocks, and what they make is added up.
BatchStep skip_by_sign(std::shared_ptr<const SkipWeights> weights, const Tensor& source,
                       std::shared_ptr<Epilogue> epilogue, std::vector<std::pair<float, float>> factors);

// A step that runs `sparse` for the samples of `source` of whose values at most a share of `threshold` is not zero, and
// `dense` for the others. The share is that of some rows of its maps, so that finding it costs next to nothing; it
// depends on the sample alone.
BatchStep sparse_or(const BatchStep& sparse, const BatchStep& dense, const Tensor& source, double threshold);

}  // namespace lrpfast
