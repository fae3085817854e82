// The weights of a linear map, packed for the kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "epilogue.h"
#include "tensor.h"

namespace lrpfast {

// The target channels of a convolution, or of its adjoint, that have any weights; `weights` is (outputs, inputs, taps).
std::vector<int> targets_with_weights(const float* weights, int outputs, int inputs, int taps, bool adjoint);

// Which kernel the weights are for: narrow if few of the targets have any weights.
enum class Form { dense, narrow, depthwise };

// Weights in the order in which the kernels read them, for one direction.
class PackedWeights {
 public:
  // `weights` is (outputs, inputs / groups, taps) of the convolution; `adjoint` packs the transposed map, which takes
  // `outputs` channels to `inputs`.
  //
  // With weights `for_negative`, those are for inputs of the convolution that are not above zero, and the first ones
  // for the others: the adjoint has to be told the inputs that its results are going to be multiplied with.
  PackedWeights(Pool& pool, const float* weights, const float* for_negative, int outputs, int inputs_per_group,
                int taps, int groups, bool adjoint);

  struct Panel {
    int first_output_block, output_blocks;
    int first_input_block, input_blocks, last_channels;
    std::int64_t offset;
  };
  int source_channels, target_channels, taps;
  bool adjoint;
  Choice choice;
  Form form;
  std::vector<Panel> panels;  // of the dense form
  std::vector<int> targets;   // of the narrow form: channels that have weights
  const float* data() const { return memory_.block.get(); }
  std::int64_t floats() const { return floats_; }

 private:
  void pack_depthwise(Pool& pool, const float* weights);
  void pack_narrow(Pool& pool, const float* weights, int inputs);
  void pack_panels(Pool& pool, const float* weights, const float* for_negative, int inputs_per_group, int groups);
  Pool::Memory memory_;
  std::int64_t floats_ = 0;
};

// std::invalid_argument if weights are to be chosen by what the epilogue multiplies with, and it does not multiply.
void check_choice(const char* step, const PackedWeights& weights, const Epilogue& epilogue);

}  // namespace lrpfast
