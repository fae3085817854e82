// Whole tensors in parts: some rows of one block of one sample each, short enough to stay in the cache, and for sums in
// float. As many for each sample, whatever the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/kernels.h"
#include "parallel.h"
#include "tensor.h"

namespace lrpfast {

// Rows of a map from a place on, as an `In` or an `Out`.
template <class Rows>
Rows rows_of(const Tensor& tensor, std::int64_t sample, std::int64_t block, int plane, int first) {
  return {tensor.row(sample, block, plane, first), static_cast<long>(tensor.row_stride)};
}

struct Part {
  std::int64_t sample, block;
  int plane, first;
  Area area;
};

// Rows of a part but the last of a plane: a multiple of `step`.
inline int rows_of_part(const Tensor& tensor, int step) { return std::max(1, 256 / tensor.size[2] / step) * step; }

inline long parts_of(const Tensor& tensor, int step = 1) {
  return static_cast<long>(tensor.samples) * tensor.blocks * tensor.size[0] *
         quotient_up(tensor.size[1], rows_of_part(tensor, step));
}

// Calls f(part, index) for every part, in parallel. The work is that of passing over so many operands.
template <class F>
void for_parts(const Tensor& tensor, int step, int operands, int threads, const F& f) {
  const int rows = rows_of_part(tensor, step);
  const long of_plane = quotient_up(tensor.size[1], rows);
  parallel_for(threads, parts_of(tensor, step), kPassing * operands * tensor.vectors(), [&](long index) {
    const long plane = index / of_plane, map = plane / tensor.size[0];
    const int first = static_cast<int>(index % of_plane) * rows;
    const Area area{std::min(rows, tensor.size[1] - first), static_cast<long>(tensor.size[2]) * kBlock};
    f(Part{map / tensor.blocks, map % tensor.blocks, static_cast<int>(plane % tensor.size[0]), first, area}, index);
  });
}

// Totals over the parts of each sample, of `columns` figures a part, always in the same order.
template <class Number>
void add_up(const std::vector<Number>& parts, int samples, int columns, double* to, int row) {
  const std::size_t each = parts.size() / samples;
  for (int n = 0; n < samples; ++n, to += row)
    for (int column = 0; column < columns; ++column) {
      double total = 0;
      for (std::size_t i = column; i < each; i += columns) total += parts[n * each + i];
      to[column] = total;
    }
}

}  // namespace lrpfast
