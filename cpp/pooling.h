// Pools on tensors, and the way back from windows to the map.
#pragma once

#include "convolution.h"
#include "tensor.h"

namespace lrpfast {

// `winners` gets, as int32 in the memory of floats, the tap of each window that holds its largest value.
void max_pool(const Window& window, const Tensor& x, const Tensor& y, const Tensor& winners, int threads);

// `r` may have more samples than `winners`; `out` is overwritten.
void max_unpool(const Window& window, const Tensor& r, const Tensor& winners, const Tensor& out, int threads);

// y = factors * sum of each window, with one factor per window; and the adjoint. `out` is overwritten.
void sum_pool(const Window& window, const Tensor& x, const float* factors, const Tensor& y, int threads);
void sum_unpool(const Window& window, const Tensor& s, const float* factors, const Tensor& out, int threads);

}  // namespace lrpfast
