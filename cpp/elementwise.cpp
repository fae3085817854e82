#include "elementwise.h"

#include <stdexcept>

#include "dispatch.h"
#include "parallel.h"

namespace lrpfast {
namespace {

void check(const Tensor& operand, const Tensor& result) {
  if (operand.size != result.size || operand.channels != result.channels || result.samples % operand.samples != 0)
    throw std::invalid_argument("elementwise step on maps that do not fit each other");
}

// One operand at one block of one sample of the result.
struct Map {
  const Tensor* tensor;
  std::int64_t sample, block;

  float* row(int plane, int line) const { return tensor ? tensor->row(sample, block, plane, line) : nullptr; }
};

Map map_of(const Tensor* operand, const Tensor& result, std::int64_t sample, std::int64_t block) {
  return {operand, operand ? sample / (result.samples / operand->samples) : 0, block};
}

// Calls f(sample, block) for every map of the result, in parallel.
template <class F>
void for_maps(const Tensor& result, int threads, const F& f) {
  parallel_for(threads, static_cast<long>(result.samples) * result.blocks, 2 * result.vectors(),
               [&](long map) { f(map / result.blocks, map % result.blocks); });
}

// Calls f(row of the result, row of each operand, floats) for every row; an operand may be null.
template <class F, class... Operands>
void for_rows(const Tensor& result, int threads, const F& f, const Operands*... operands) {
  ((operands ? check(*operands, result) : void()), ...);
  const long count = static_cast<long>(result.size[2]) * kBlock;
  for_maps(result, threads, [&](std::int64_t sample, std::int64_t block) {
    for (int d = 0; d < result.size[0]; ++d)
      for (int h = 0; h < result.size[1]; ++h)
        f(result.row(sample, block, d, h), map_of(operands, result, sample, block).row(d, h)..., count);
  });
}

}  // namespace

void activate(const FunctionParameters& function, const Tensor& x, const Tensor* slope, const Tensor& y, int threads) {
  const KernelTable& table = kernels();
  for_rows(
      y, threads,
      [&](float* out, const float* in, const float* slopes, long count) {
        table.activate(function, in, slopes, out, count);
      },
      &x, slope);
}

void activation_relevance(ActivationRule rule, const FunctionParameters& function, const Tensor& x, const Tensor* slope,
                          const Tensor& r, const Tensor& out, int threads) {
  const KernelTable& table = kernels();
  for_rows(
      out, threads,
      [&](float* target, const float* in, const float* slopes, const float* received, long count) {
        table.activation_relevance(rule, function, in, slopes, received, target, count);
      },
      &x, slope, &r);
}

void part(float positive, float negative, const Tensor& x, const Tensor& y, int threads) {
  const KernelTable& table = kernels();
  for_rows(
      y, threads, [&](float* out, const float* in, long count) { table.part(positive, negative, in, out, count); }, &x);
}

std::vector<QuotientSums> quotient(const Quotient& q, const Tensor& s, int threads) {
  check(*q.r, s);
  check(*q.z, s);
  if (q.own) check(*q.own, s);
  const KernelTable& table = kernels();
  std::vector<QuotientSums> totals(static_cast<std::size_t>(s.samples) * s.blocks);
  for_maps(s, threads, [&](std::int64_t sample, std::int64_t block) {
    const Map r = map_of(q.r, s, sample, block), z = map_of(q.z, s, sample, block);
    const Map own = map_of(q.own, s, sample, block);
    const float* bias = q.bias ? q.bias + block * kBlock : nullptr;
    QuotientSums& total = totals[sample * s.blocks + block];
    for (int d = 0; d < s.size[0]; ++d)
      for (int h = 0; h < s.size[1]; ++h)
        table.quotient(
            {r.row(d, h), z.row(d, h), own.row(d, h), bias, q.gate, q.share, q.stabilizer, s.row(sample, block, d, h)},
            total, static_cast<long>(s.size[2]) * kBlock);
  });
  return totals;
}

void contribute(float positive, float negative, float sign, const Tensor& a, const Tensor& c, bool accumulate,
                const Tensor& out, int threads) {
  const KernelTable& table = kernels();
  for_rows(
      out, threads,
      [&](float* target, const float* taken, const float* spread, long count) {
        table.contribute(positive, negative, sign, taken, spread, accumulate, target, count);
      },
      &a, &c);
}

void affine(const Tensor& x, const Tensor* scale, const Tensor* shift, const Tensor& y, int threads) {
  const KernelTable& table = kernels();
  for_rows(
      y, threads,
      [&](float* out, const float* in, const float* scales, const float* shifts, long count) {
        table.affine(in, scales, shifts, out, count);
      },
      &x, scale, shift);
}

void add(const Tensor& x, const Tensor& y, const Tensor& out, int threads) {
  const KernelTable& table = kernels();
  for_rows(
      out, threads,
      [&](float* target, const float* left, const float* right, long count) { table.add(left, right, target, count); },
      &x, &y);
}

std::vector<double> sums(const Tensor& x, int threads) {
  const KernelTable& table = kernels();
  std::vector<double> maps(static_cast<std::size_t>(x.samples) * x.blocks);
  for_maps(x, threads, [&](std::int64_t sample, std::int64_t block) {
    double total = 0;
    for (int d = 0; d < x.size[0]; ++d)
      for (int h = 0; h < x.size[1]; ++h)
        total += table.sum(x.row(sample, block, d, h), static_cast<long>(x.size[2]) * kBlock);
    maps[sample * x.blocks + block] = total;
  });
  std::vector<double> totals(x.samples);
  for (std::size_t i = 0; i < maps.size(); ++i) totals[i / x.blocks] += maps[i];
  return totals;
}

}  // namespace lrpfast
