// The way back through a convolution to an image of few channels, by patches.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "epilogue.h"
#include "program.h"
#include "tensor.h"

namespace lrpfast {

// Weights of a convolution in one plane, packed for its adjoint: [source channel][kernel row][16 floats of a run],
// where a run holds the weights of the row's taps one after the other, each for all targets that have any.
class PatchWeights {
 public:
  // `weights` is (outputs, inputs, rows * columns) of the convolution, as for PackedWeights.
  // std::invalid_argument if no target has weights, or more than kNarrow have.
  PatchWeights(Pool& pool, const float* weights, int outputs, int inputs, int rows, int columns);

  int source_channels, target_channels;
  int rows, columns;         // of the kernel
  std::vector<int> targets;  // channels that have weights
  int width;                 // of a kernel row, in blocks of 16 floats
  std::int64_t channel() const { return static_cast<std::int64_t>(rows) * width * kBlock; }
  const float* at(int source_channel, int kernel_row) const {
    return memory_.block.get() + source_channel * channel() + static_cast<std::int64_t>(kernel_row) * width * kBlock;
  }
  std::int64_t floats() const { return blocks_of(source_channels) * kBlock * channel(); }

 private:
  Pool::Memory memory_;
};

// A step that hands the epilogue W' source, whose blocks come in order. The window is that of the convolution, in one
// plane and with dilations of 1; no halo is read. std::invalid_argument if not, or if the maps do not fit.
BatchStep patch(std::shared_ptr<const PatchWeights> weights, const Window& window, const Tensor& source,
                std::shared_ptr<Epilogue> epilogue);

}  // namespace lrpfast
