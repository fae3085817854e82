// Activation functions, and what gradients and the rules for ReLU make of them: one pass each. Those with a vector form
// run at the speed of the cache or memory, the others call the C library element by element.
#include <math.h>

#include "rows.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

// For functions that have no vector form here.
template <class F>
inline void map_scalar(const float* bias, In x, Out y, Area area, F f) {
  for (int row = 0; row < area.rows; ++row)
    for (long i = 0; i < area.floats; ++i)
      y.at[row * y.row + i] = f(x.at[row * x.row + i] + (bias ? bias[i % kBlock] : 0.0f));
}

inline vec clamp(vec x, vec low, vec high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

inline float sigmoid(float x) {
  const float small = expf(-fabsf(x));
  return (x >= 0 ? 1.0f : small) / (1.0f + small);
}

inline float softplus(float x) { return (x > 0 ? x : 0.0f) + log1pf(expf(-fabsf(x))); }
inline float softsign(float x) { return x / (1.0f + fabsf(x)); }
inline float mish(float x) { return x * tanhf(softplus(x)); }
inline float silu(float x) { return x * sigmoid(x); }

constexpr float kRootOfHalf = 0.70710678f, kRootOfTwoOverPi = 0.79788456f, kTwoOverRootOfPi = 1.12837917f;

// The share of a normal distribution below x.
inline float normal(float x) { return 0.5f * (1.0f + erff(x * kRootOfHalf)); }
inline float gelu(float x) { return x * normal(x); }

// The argument of the hyperbolic tangent in the other form of GELU.
inline float gelu_inner(float x) { return kRootOfTwoOverPi * (x + 0.044715f * x * x * x); }
inline float gelu_tanh(float x) { return 0.5f * x * (1.0f + tanhf(gelu_inner(x))); }

inline float gelu_tanh_slope(float x) {
  const float t = tanhf(gelu_inner(x)), inner = kRootOfTwoOverPi * (1.0f + 3.0f * 0.044715f * x * x);
  return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner;
}

inline float mish_slope(float x) {
  const float t = tanhf(softplus(x));
  return t + x * (1.0f - t * t) * sigmoid(x);
}

template <class F>
inline void multiply_by_derivative(In x, In r, Out out, Area area, F derivative) {
  for (int row = 0; row < area.rows; ++row)
    for (long i = 0; i < area.floats; ++i)
      out.at[row * out.row + i] = r.at[row * r.row + i] * derivative(x.at[row * x.row + i]);
}

// At a kink the derivative is PyTorch's: 0 for ReLU at 0.
void gradient(const FunctionParameters& f, In x, In slope, In r, Out out, Area area) {
  switch (f.function) {
    case Function::identity:
      return map(nullptr, r, out, area, [](vec v) { return v; });
    case Function::relu:
      return for_vectors(area,
                         [&](int row, long i) { store(out, row, i, load(x, row, i) > 0 ? load(r, row, i) : vec{}); });
    case Function::leaky_relu:
      return for_vectors(area, [&](int row, long i) {
        const vec s = slope.at ? load(slope, row, i) : splat(f.alpha), received = load(r, row, i);
        store(out, row, i, load(x, row, i) > 0 ? received : s * received);
      });
    case Function::clip:
      return multiply_by_derivative(x, r, out, area, [&](float v) { return v >= f.low && v <= f.high ? 1.0f : 0.0f; });
    case Function::sigmoid:
      return multiply_by_derivative(x, r, out, area, [](float v) { return sigmoid(v) * (1.0f - sigmoid(v)); });
    case Function::tanh:
      return multiply_by_derivative(x, r, out, area, [](float v) { return 1.0f - tanhf(v) * tanhf(v); });
    case Function::elu:
      return multiply_by_derivative(x, r, out, area, [&](float v) { return v > 0 ? 1.0f : f.alpha * expf(v); });
    case Function::hard_sigmoid:
      return multiply_by_derivative(x, r, out, area, [&](float v) {
        const float inner = f.alpha * v + f.beta;
        return inner > 0 && inner < 1 ? f.alpha : 0.0f;
      });
    case Function::hard_swish:
      return multiply_by_derivative(x, r, out, area, [](float v) {
        return v <= -3 ? 0.0f : v >= 3 ? 1.0f : v / 3.0f + 0.5f;
      });
    case Function::softplus:
      return multiply_by_derivative(x, r, out, area, sigmoid);
    case Function::softsign:
      return multiply_by_derivative(x, r, out, area,
                                    [](float v) { return 1.0f / ((1.0f + fabsf(v)) * (1.0f + fabsf(v))); });
    case Function::silu:
      return multiply_by_derivative(x, r, out, area,
                                    [](float v) { return sigmoid(v) * (1.0f + v * (1.0f - sigmoid(v))); });
    case Function::mish:
      return multiply_by_derivative(x, r, out, area, mish_slope);
    case Function::gelu:
      return multiply_by_derivative(
          x, r, out, area, [](float v) { return normal(v) + v * 0.5f * kRootOfTwoOverPi * expf(-0.5f * v * v); });
    case Function::gelu_tanh:
      return multiply_by_derivative(x, r, out, area, gelu_tanh_slope);
    case Function::erf:
      return multiply_by_derivative(x, r, out, area, [](float v) { return kTwoOverRootOfPi * expf(-v * v); });
    case Function::exp:
      return multiply_by_derivative(x, r, out, area, expf);
    case Function::log:
      return multiply_by_derivative(x, r, out, area, [](float v) { return 1.0f / v; });
    case Function::square:
      return multiply_by_derivative(x, r, out, area, [](float v) { return 2.0f * v; });
    case Function::power:
      return multiply_by_derivative(x, r, out, area, [&](float v) { return f.alpha * powf(v, f.alpha - 1.0f); });
    case Function::sqrt:
      return multiply_by_derivative(x, r, out, area, [](float v) { return 0.5f / sqrtf(v); });
    case Function::reciprocal:
      return multiply_by_derivative(x, r, out, area, [](float v) { return -1.0f / (v * v); });
    case Function::abs:
      return multiply_by_derivative(x, r, out, area, [](float v) { return v > 0 ? 1.0f : v < 0 ? -1.0f : 0.0f; });
  }
}

}  // namespace

void activate(const FunctionParameters& f, const float* bias, In x, In slope, Out y, Area area) {
  switch (f.function) {
    case Function::identity:
      return map(bias, x, y, area, [](vec v) { return v; });
    case Function::relu:
      return map(bias, x, y, area, [](vec v) { return positive(v); });
    case Function::leaky_relu:
      return for_vectors(area, [&](int row, long i) {
        const vec v = load(x, row, i) + (bias ? load_loose(bias + i % kBlock) : vec{});
        const vec s = slope.at ? load(slope, row, i) : splat(f.alpha);
        store(y, row, i, v >= 0 ? v : s * v);
      });
    case Function::clip:
      return map(bias, x, y, area, [low = splat(f.low), high = splat(f.high)](vec v) { return clamp(v, low, high); });
    case Function::sigmoid:
      return map_scalar(bias, x, y, area, sigmoid);
    case Function::tanh:
      return map_scalar(bias, x, y, area, tanhf);
    case Function::elu:
      return map_scalar(bias, x, y, area, [&](float v) { return v >= 0 ? v : f.alpha * expm1f(v); });
    case Function::hard_sigmoid:
      return map(bias, x, y, area,
                 [alpha = f.alpha, beta = f.beta](vec v) { return clamp(alpha * v + beta, vec{}, splat(1)); });
    case Function::hard_swish:
      return map(bias, x, y, area, [](vec v) { return v * clamp(v * (1.0f / 6.0f) + 0.5f, vec{}, splat(1)); });
    case Function::softplus:
      return map_scalar(bias, x, y, area, softplus);
    case Function::softsign:
      return map_scalar(bias, x, y, area, softsign);
    case Function::silu:
      return map_scalar(bias, x, y, area, silu);
    case Function::mish:
      return map_scalar(bias, x, y, area, mish);
    case Function::gelu:
      return map_scalar(bias, x, y, area, gelu);
    case Function::gelu_tanh:
      return map_scalar(bias, x, y, area, gelu_tanh);
    case Function::erf:
      return map_scalar(bias, x, y, area, erff);
    case Function::exp:
      return map_scalar(bias, x, y, area, expf);
    case Function::log:
      return map_scalar(bias, x, y, area, logf);
    case Function::square:
      return map(bias, x, y, area, [](vec v) { return v * v; });
    case Function::power:
      return map_scalar(bias, x, y, area, [&](float v) { return powf(v, f.alpha); });
    case Function::sqrt:
      return map_scalar(bias, x, y, area, sqrtf);
    case Function::reciprocal:
      return map(bias, x, y, area, [](vec v) { return splat(1) / v; });
    case Function::abs:
      return map(bias, x, y, area, [](vec v) { return magnitude(v); });
  }
}

void activation_relevance(ActivationRule rule, const FunctionParameters& f, In x, In slope, In r, Out out, Area area) {
  switch (rule) {
    case ActivationRule::gradient:
      return gradient(f, x, slope, r, out, area);
    case ActivationRule::deconvnet:
      return map(nullptr, r, out, area, [](vec v) { return positive(v); });
    case ActivationRule::guided_backprop:
      return for_vectors(
          area, [&](int row, long i) { store(out, row, i, load(x, row, i) > 0 ? positive(load(r, row, i)) : vec{}); });
    case ActivationRule::beta_smooth:
      return multiply_by_derivative(x, r, out, area, [&](float v) { return sigmoid(f.beta * v); });
  }
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
