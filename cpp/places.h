// Values that move one by one: what no kernel knows a pattern for. Elements of a sample are numbered in the order
// channel, plane, row, column; those of several tensors go on where the tensor before them ends.
#pragma once

#include <cstdint>
#include <vector>

#include "program.h"
#include "tensor.h"

namespace lrpfast {

using Places = std::vector<std::int64_t>;

// Element i of `target` gets element places[i] of the sources, or `otherwise` where places[i] is negative.
Step gather(const std::vector<Tensor>& sources, const Places& places, float otherwise, const Tensor& target);

// The way back: element first + i of what was gathered from, which is element i of `target`, gets the sum of all
// elements of `source` that were taken from it, in their order.
Step scatter(const Tensor& source, const Places& places, std::int64_t first, const Tensor& target);

// Pixels as weighted sums of others, in every channel alike: pixel i of `target` gets the entries from ends[i - 1] to
// ends[i], weights[e] times pixel pixels[e] of `source`.
struct Entries {
  std::vector<std::int32_t> ends, pixels;
  std::vector<float> weights;
};
Step blend(const Tensor& source, const Entries& entries, const Tensor& target);

}  // namespace lrpfast
