// The rule of a convolution of single pixels in one go: denominators, quotients, and the way back.
#pragma once

#include <memory>
#include <vector>

#include "epilogue.h"
#include "program.h"
#include "tensor.h"
#include "weights.h"

namespace lrpfast {

// Weights packed as adjoint, and who takes up what they make of the quotients.
struct WayBack {
  std::shared_ptr<const PackedWeights> weights;
  std::shared_ptr<Epilogue> epilogue;
};

// A step that hands `quotient` W source, or the source as it is without weights, and each way back W' of the quotients,
// which the quotient must not keep. All of it is for windows of one pixel, with strides of 1 and no padding, in one
// plane. std::invalid_argument if the maps do not fit, or if weights are not of the dense form.
Step redistribute(std::shared_ptr<const PackedWeights> weights, const Tensor& source,
                  std::shared_ptr<Quotient> quotient, std::vector<WayBack> back);

}  // namespace lrpfast
