// Winograd's F(4x4, 3x3) convolution: 2.25 multiply-adds where the definition needs 9, for kernels of 3 x 3 at
// stride 1.
#pragma once

#include <cstdint>
#include <memory>

#include "epilogue.h"
#include "tensor.h"

namespace lrpfast {

// Weights taken to the 36 points, in the order in which the kernels read them, for one direction.
class WinogradWeights {
 public:
  // `weights` is (outputs, inputs, 9) of the convolution; `adjoint` packs the transposed map, which takes `outputs`
  // channels to `inputs`. std::invalid_argument if a number of channels is below 1.
  WinogradWeights(Pool& pool, const float* weights, int outputs, int inputs, bool adjoint, int threads);

  int source_channels, target_channels;
  const float* data() const { return memory_.block.get(); }
  std::int64_t floats() const { return floats_; }

 private:
  Pool::Memory memory_;
  std::int64_t floats_ = 0;
};

// A step that hands the epilogue W source, with `before` zeros (0 to 2) ahead of the first row and column of each map
// (one plane; for the adjoint 2 - before of the convolution). No halo is needed, and none is read.
// std::invalid_argument if the maps do not fit.
BatchStep winograd(std::shared_ptr<const WinogradWeights> weights, const std::array<int, 2>& before,
                   const Tensor& source, std::shared_ptr<Epilogue> epilogue);

}  // namespace lrpfast
