// Elementwise steps on whole tensors. An operand with fewer samples than the result is used again for each of them:
// sample i of the result meets sample i / (ratio of the counts), so one sample serves all, and N serve N * T
// explanations.
#pragma once

#include <vector>

#include "kernels/kernels.h"
#include "tensor.h"

namespace lrpfast {

Step activation_relevance(ActivationRule rule, const FunctionParameters& function, const Tensor& x, const Tensor* slope,
                          const Tensor& r, const Tensor& out);
Step part(float positive, float negative, const Tensor& x, const Tensor& y);
Step affine(const Tensor& x, const Tensor* scale, const Tensor* shift, const Tensor& y);
Step add(const Tensor& x, const Tensor& y, const Tensor& out);

// y = the sum over all channels of x, as the only channel
Step sum_channels(const Tensor& x, const Tensor& y);

// Sum of each sample, always in the same order.
class Sum : public Figures {
 public:
  explicit Sum(const Tensor& x);
  int samples() const override { return x_.samples; }
  int columns() const override { return 1; }
  void write(double* to, int row) const override;
  void run(int threads);

 private:
  const Tensor x_;
  std::vector<double> parts_;
};

// One branch of a sum on the way back: what it brought, and where its relevance goes.
struct Branch {
  Tensor a, out;
  bool accumulate;
};

// out (+)= a * share * r / stab(z) for every branch. For each sample of r: received, absorbed by the stabilizer,
// handled, and what each branch got.
class ShareOut : public Figures {
 public:
  ShareOut(const Tensor& r, const Tensor& z, float share, float stabilizer, const std::vector<Branch>& branches);
  int samples() const override { return r_.samples; }
  int columns() const override { return 3 + static_cast<int>(branches_.size()); }
  void write(double* to, int row) const override;
  void run(int threads);

 private:
  const Tensor r_, z_;
  const float share_, stabilizer_;
  std::vector<Branch> branches_;
  std::vector<double> parts_;
};

}  // namespace lrpfast
