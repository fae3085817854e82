// Elementwise steps on tensors. An operand with fewer samples than the result is used again for each of them: sample i
// of the result meets sample i / (ratio of the counts), so one sample serves all, and N serve N * T explanations.
#pragma once

#include <vector>

#include "kernels/kernels.h"
#include "tensor.h"

namespace lrpfast {

void activate(const FunctionParameters& function, const Tensor& x, const Tensor* slope, const Tensor& y, int threads);
void activation_relevance(ActivationRule rule, const FunctionParameters& function, const Tensor& x, const Tensor* slope,
                          const Tensor& r, const Tensor& out, int threads);
void part(float positive, float negative, const Tensor& x, const Tensor& y, int threads);

// s = share * gate(own) * r / stab(z), and what the audit needs: for each sample and block its sums.
struct Quotient {
  const Tensor *r, *z, *own;
  const float* bias;  // s.blocks * 16 floats, or null
  Gate gate;
  float share, stabilizer;
};
std::vector<QuotientSums> quotient(const Quotient& task, const Tensor& s, int threads);

void contribute(float positive, float negative, float sign, const Tensor& a, const Tensor& c, bool accumulate,
                const Tensor& out, int threads);
void affine(const Tensor& x, const Tensor* scale, const Tensor* shift, const Tensor& y, int threads);
void add(const Tensor& x, const Tensor& y, const Tensor& out, int threads);

// Sum of each sample, always in the same order.
std::vector<double> sums(const Tensor& x, int threads);

}  // namespace lrpfast
