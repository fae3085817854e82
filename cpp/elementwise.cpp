#include "elementwise.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "dispatch.h"
#include "epilogue.h"
#include "parallel.h"

namespace lrpfast {
namespace {

enum Drawer { kQuotients = 2 };

void check(const Tensor& operand, const Tensor& result) {
  if (operand.size != result.size || operand.channels != result.channels || result.samples % operand.samples != 0)
    throw std::invalid_argument("elementwise step on maps that do not fit each other");
}

// Some rows of one block of one sample of the result, short enough to stay in the cache, and for sums in float.
struct Part {
  std::int64_t sample, block;
  int plane, first;
  Area area;

  In in(const Tensor* operand, const Tensor& result) const {
    if (operand == nullptr) return {nullptr, 0};
    const std::int64_t n = sample / (result.samples / operand->samples);
    return {operand->row(n, block, plane, first), static_cast<long>(operand->row_stride)};
  }
  Out out(const Tensor& result) const {
    return {result.row(sample, block, plane, first), static_cast<long>(result.row_stride)};
  }
};

int rows_of_part(const Tensor& result) { return std::clamp(256 / result.size[2], 1, result.size[1]); }

long parts_of_plane(const Tensor& result) {
  const int rows = rows_of_part(result);
  return (result.size[1] + rows - 1) / rows;
}

long parts_of(const Tensor& result) {
  return static_cast<long>(result.samples) * result.blocks * result.size[0] * parts_of_plane(result);
}

// Calls f(part, index) for every part of the result, in parallel; as many for each sample.
template <class F>
void for_parts(const Tensor& result, int operands, int threads, const F& f) {
  const int rows = rows_of_part(result);
  const long chunks = parts_of_plane(result);
  parallel_for(threads, parts_of(result), operands * result.vectors(), [&](long index) {
    const long plane = index / chunks, map = plane / result.size[0];
    const int first = static_cast<int>(index % chunks) * rows;
    const Area area{std::min(rows, result.size[1] - first), static_cast<long>(result.size[2]) * kBlock};
    f(Part{map / result.blocks, map % result.blocks, static_cast<int>(plane % result.size[0]), first, area}, index);
  });
}

std::optional<Tensor> borrowed(const Tensor* tensor) {
  if (tensor == nullptr) return std::nullopt;
  return tensor->borrowed();
}

const Tensor* address(const std::optional<Tensor>& tensor) { return tensor ? &*tensor : nullptr; }

// Totals of `columns` figures over the parts of each sample.
void total(const std::vector<double>& parts, int samples, int columns, double* to, int row) {
  const std::size_t each = parts.size() / samples;
  for (int n = 0; n < samples; ++n) std::fill_n(to + static_cast<std::ptrdiff_t>(n) * row, columns, 0.0);
  for (std::size_t i = 0; i < parts.size(); ++i)
    to[static_cast<std::ptrdiff_t>(i / each) * row + static_cast<std::ptrdiff_t>(i % columns)] += parts[i];
}

}  // namespace

Step activation_relevance(ActivationRule rule, const FunctionParameters& function, const Tensor& x, const Tensor* slope,
                          const Tensor& r, const Tensor& out) {
  check(x, out);
  check(r, out);
  if (slope) check(*slope, out);
  return Step([=, x = x.borrowed(), slope = borrowed(slope), r = r.borrowed(), out = out.borrowed()](int threads) {
    for_parts(out, 3, threads, [&](const Part& part, long) {
      kernels().activation_relevance(rule, function, part.in(&x, out), part.in(address(slope), out), part.in(&r, out),
                                     part.out(out), part.area);
    });
  });
}

Step part(float positive, float negative, const Tensor& x, const Tensor& y) {
  check(x, y);
  return Step([=, x = x.borrowed(), y = y.borrowed()](int threads) {
    for_parts(y, 2, threads, [&](const Part& part, long) {
      kernels().part(positive, negative, part.in(&x, y), part.out(y), part.area);
    });
  });
}

Step affine(const Tensor& x, const Tensor* scale, const Tensor* shift, const Tensor& y) {
  check(x, y);
  if (scale) check(*scale, y);
  if (shift) check(*shift, y);
  return Step([x = x.borrowed(), scale = borrowed(scale), shift = borrowed(shift), y = y.borrowed()](int threads) {
    for_parts(y, 3, threads, [&](const Part& part, long) {
      kernels().affine(part.in(&x, y), part.in(address(scale), y), part.in(address(shift), y), part.out(y), part.area);
    });
  });
}

Step add(const Tensor& x, const Tensor& y, const Tensor& out) {
  check(x, out);
  check(y, out);
  return Step([x = x.borrowed(), y = y.borrowed(), out = out.borrowed()](int threads) {
    for_parts(out, 3, threads, [&](const Part& part, long) {
      kernels().add(part.in(&x, out), part.in(&y, out), part.out(out), part.area);
    });
  });
}

Step sum_channels(const Tensor& x, const Tensor& y) {
  if (x.size != y.size || x.samples != y.samples || y.channels != 1)
    throw std::invalid_argument("sum_channels: the result must have one channel, and the size of the map");
  return Step([x = x.borrowed(), y = y.borrowed()](int threads) {
    for_parts(y, x.blocks, threads, [&](const Part& part, long) {
      const In in{x.row(part.sample, 0, part.plane, part.first), static_cast<long>(x.row_stride)};
      kernels().sum_channels(in, static_cast<long>(x.block_stride), x.blocks, part.out(y), part.area);
    });
  });
}

Sum::Sum(const Tensor& x) : x_(x.borrowed()), parts_(parts_of(x)) {}

void Sum::run(int threads) {
  for_parts(x_, 1, threads,
            [&](const Part& part, long index) { parts_[index] = kernels().sum(part.in(&x_, x_), part.area); });
}

void Sum::write(double* to, int row) const { total(parts_, samples(), columns(), to, row); }

ShareOut::ShareOut(const Tensor& r, const Tensor& z, float share, float stabilizer, const std::vector<Branch>& branches)
    : r_(r.borrowed()), z_(z.borrowed()), share_(share), stabilizer_(stabilizer) {
  check(z, r);
  for (const Branch& branch : branches) {
    check(branch.a, r);
    check(branch.out, r);
    if (branch.out.samples != r.samples) throw std::invalid_argument("share_out: a result with too few samples");
    branches_.push_back({branch.a.borrowed(), branch.out.borrowed(), branch.accumulate});
  }
  parts_.resize(parts_of(r) * columns());
}

void ShareOut::run(int threads) {
  const int figures = columns();
  for_parts(r_, 2 + 2 * static_cast<int>(branches_.size()), threads, [&](const Part& part, long index) {
    float* memory = scratch(kQuotients, part.area.rows * part.area.floats);
    QuotientTask task{};
    task.r = part.in(&r_, r_);
    task.values = part.in(&z_, r_);
    task.share = share_;
    task.stabilizer = stabilizer_;
    task.s = {memory, part.area.floats};
    QuotientSums sums{};
    kernels().quotient(task, sums, part.area);
    double* found = parts_.data() + index * figures;
    found[0] = sums.received;
    found[1] = sums.stabilizer;
    found[2] = sums.quotients;
    for (std::size_t b = 0; b < branches_.size(); ++b)
      found[3 + b] = kernels().contribute({1,
                                           1,
                                           part.in(&branches_[b].a, r_),
                                           {memory, part.area.floats},
                                           branches_[b].accumulate,
                                           part.out(branches_[b].out)},
                                          part.area);
  });
}

void ShareOut::write(double* to, int row) const { total(parts_, samples(), columns(), to, row); }

}  // namespace lrpfast
