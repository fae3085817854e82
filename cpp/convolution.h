// Convolutions and their adjoints by definition: every kernel size, stride, dilation, group and number of axes.
#pragma once

#include "epilogue.h"
#include "tensor.h"
#include "weights.h"

namespace lrpfast {

// A step that hands the epilogue W source, or W' source for weights packed as adjoint. The halo of `source` must be as
// wide as the taps reach; std::invalid_argument if not, or if the maps do not fit the weights.
BatchStep convolve(std::shared_ptr<const PackedWeights> weights, const Window& window, const Tensor& source,
                   std::shared_ptr<Epilogue> epilogue);

}  // namespace lrpfast
