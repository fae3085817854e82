#include "elementwise.h"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <utility>

#include "dispatch.h"
#include "epilogue.h"
#include "parts.h"

namespace lrpfast {
namespace {

enum Drawer { kQuotients = 2 };

void check(const Tensor& operand, const Tensor& result) {
  if (operand.size != result.size || operand.channels != result.channels || result.samples % operand.samples != 0)
    throw std::invalid_argument("elementwise step on maps that do not fit each other");
}

// The rows of an operand that meet a part of the result; null if there is none.
In in_of(const Part& part, const Tensor* operand, const Tensor& result) {
  if (operand == nullptr) return {nullptr, 0};
  const std::int64_t n = part.sample / (result.samples / operand->samples);
  return rows_of<In>(*operand, n, part.block, part.plane, part.first);
}

Out out_of(const Part& part, const Tensor& result) {
  return rows_of<Out>(result, part.sample, part.block, part.plane, part.first);
}

std::optional<Tensor> borrowed(const Tensor* tensor) {
  if (tensor == nullptr) return std::nullopt;
  return tensor->borrowed();
}

const Tensor* address(const std::optional<Tensor>& tensor) { return tensor ? &*tensor : nullptr; }

}  // namespace

Step activation_relevance(ActivationRule rule, const FunctionParameters& function, const Tensor& x, const Tensor* slope,
                          const Tensor& r, const Tensor& out) {
  check(x, out);
  check(r, out);
  if (slope) check(*slope, out);
  return Step([=, x = x.borrowed(), slope = borrowed(slope), r = r.borrowed(), out = out.borrowed()](int threads) {
    for_parts(out, 1, 3, threads, [&](const Part& part, long) {
      kernels().activation_relevance(rule, function, in_of(part, &x, out), in_of(part, address(slope), out),
                                     in_of(part, &r, out), out_of(part, out), part.area);
    });
  });
}

Step part(float positive, float negative, const Tensor& x, const Tensor& y) {
  check(x, y);
  return Step([=, x = x.borrowed(), y = y.borrowed()](int threads) {
    for_parts(y, 1, 2, threads, [&](const Part& part, long) {
      kernels().part(positive, negative, in_of(part, &x, y), out_of(part, y), part.area);
    });
  });
}

Step affine(const Tensor& x, const Tensor* scale, const Tensor* shift, const Tensor& y) {
  check(x, y);
  if (scale) check(*scale, y);
  if (shift) check(*shift, y);
  return Step([x = x.borrowed(), scale = borrowed(scale), shift = borrowed(shift), y = y.borrowed()](int threads) {
    for_parts(y, 1, 3, threads, [&](const Part& part, long) {
      kernels().affine(in_of(part, &x, y), in_of(part, address(scale), y), in_of(part, address(shift), y),
                       out_of(part, y), part.area);
    });
  });
}

Step add(const Tensor& x, const Tensor& y, const Tensor& out) {
  check(x, out);
  check(y, out);
  return Step([x = x.borrowed(), y = y.borrowed(), out = out.borrowed()](int threads) {
    for_parts(out, 1, 3, threads, [&](const Part& part, long) {
      kernels().add(in_of(part, &x, out), in_of(part, &y, out), out_of(part, out), part.area);
    });
  });
}

Step sum_channels(const Tensor& x, const Tensor& y) {
  if (x.size != y.size || x.samples != y.samples || y.channels != 1)
    throw std::invalid_argument("sum_channels: the result must have one channel, and the size of the map");
  return Step([x = x.borrowed(), y = y.borrowed()](int threads) {
    for_parts(y, 1, x.blocks, threads, [&](const Part& part, long) {
      const In whole = rows_of<In>(x, part.sample, 0, part.plane, part.first);
      kernels().sum_channels(whole, static_cast<long>(x.block_stride), x.blocks, out_of(part, y), part.area);
    });
  });
}

Sum::Sum(const Tensor& x) : x_(x.borrowed()), parts_(parts_of(x)) {}

void Sum::run(int threads) {
  for_parts(x_, 1, 1, threads,
            [&](const Part& part, long index) { parts_[index] = kernels().sum(in_of(part, &x_, x_), part.area); });
}

void Sum::write(double* to, int row) const { add_up(parts_, samples(), columns(), to, row); }

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
  for_parts(r_, 1, 2 + 2 * static_cast<int>(branches_.size()), threads, [&](const Part& part, long index) {
    float* memory = scratch(kQuotients, part.area.rows * part.area.floats);
    QuotientTask task{};
    task.r = in_of(part, &r_, r_);
    task.values = in_of(part, &z_, r_);
    task.share = share_;
    task.of_values = 1;
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
                                           in_of(part, &branches_[b].a, r_),
                                           {nullptr, 0},
                                           {memory, part.area.floats},
                                           branches_[b].accumulate,
                                           out_of(part, branches_[b].out)},
                                          part.area);
  });
}

void ShareOut::write(double* to, int row) const { add_up(parts_, samples(), columns(), to, row); }

}  // namespace lrpfast
