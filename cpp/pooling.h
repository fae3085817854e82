// Pools on tensors, and the way back from windows to the map.
#pragma once

#include <vector>

#include "epilogue.h"
#include "tensor.h"

namespace lrpfast {

// `winners` gets, as int32 in the memory of floats, the tap of each window that holds its largest value: the first of
// equal ones. With a `margin` places that show the same are equal, too: none of 16 channels differs by more than this
// share of the largest value of the window. That much their rounding may differ by place, for values from Winograd's
// algorithm.
Step max_pool(const Window& window, const Tensor& x, const Tensor& y, const Tensor& winners, float margin);

// `r` may have more samples than `winners`; `out` is overwritten.
Step max_unpool(const Window& window, const Tensor& r, const Tensor& winners, const Tensor& out);

// As max_unpool for values `x`, but with the relevance of a window shared out among several of them.
Step share_pool(const Window& window, const Tensor& x, const Tensor& r, PoolShare how, float stabilizer, float margin,
                const Tensor& out);

// y = factors * sum of each window, with one factor per window; and the adjoint. `out` is overwritten.
Step sum_pool(const Window& window, const Tensor& x, const std::vector<float>& factors, const Tensor& y);
Step sum_unpool(const Window& window, const Tensor& s, const std::vector<float>& factors, const Tensor& out);

}  // namespace lrpfast
