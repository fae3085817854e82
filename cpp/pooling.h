// Pools on tensors, and the way back from windows to the map.
#pragma once

#include <vector>

#include "epilogue.h"
#include "tensor.h"

namespace lrpfast {

// `winners` gets, as int32 in the memory of floats, the tap of each window that holds its largest value.
Step max_pool(const Window& window, const Tensor& x, const Tensor& y, const Tensor& winners);

// `r` may have more samples than `winners`; `out` is overwritten.
Step max_unpool(const Window& window, const Tensor& r, const Tensor& winners, const Tensor& out);

// y = factors * sum of each window, with one factor per window; and the adjoint. `out` is overwritten.
Step sum_pool(const Window& window, const Tensor& x, const std::vector<float>& factors, const Tensor& y);
Step sum_unpool(const Window& window, const Tensor& s, const std::vector<float>& factors, const Tensor& out);

}  // namespace lrpfast
