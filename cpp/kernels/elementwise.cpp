// Elementwise steps: one pass over `count` floats each, vector by vector; all of them run at the speed of memory.
#include <math.h>

#include "vector.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

template <class F>
void map(const float* x, float* y, long count, F f) {
  for (long i = 0; i < count; i += kLanes) store(y + i, f(load(x + i)));
}

// For functions that have no vector form here.
template <class F>
void map_scalar(const float* x, float* y, long count, F f) {
  for (long i = 0; i < count; ++i) y[i] = f(x[i]);
}

inline vec clamp(vec x, float low, float high) {
  x = x < low ? splat(low) : x;
  return x > high ? splat(high) : x;
}

inline float sigmoid(float x) {
  const float small = expf(-fabsf(x));
  return (x >= 0 ? 1.0f : small) / (1.0f + small);
}

template <class F>
void multiply_by_derivative(const float* x, const float* r, float* out, long count, F derivative) {
  for (long i = 0; i < count; ++i) out[i] = r[i] * derivative(x[i]);
}

// At a kink the derivative is PyTorch's: 0 for ReLU at 0.
void gradient(const FunctionParameters& f, const float* x, const float* slope, const float* r, float* out, long count) {
  switch (f.function) {
    case Function::relu:
      for (long i = 0; i < count; i += kLanes) store(out + i, load(x + i) > 0 ? load(r + i) : vec{});
      return;
    case Function::leaky_relu:
      for (long i = 0; i < count; i += kLanes) {
        const vec s = slope ? load(slope + i) : splat(f.alpha);
        store(out + i, load(x + i) > 0 ? load(r + i) : s * load(r + i));
      }
      return;
    case Function::clip:
      return multiply_by_derivative(x, r, out, count, [&](float v) { return v >= f.low && v <= f.high ? 1.0f : 0.0f; });
    case Function::sigmoid:
      return multiply_by_derivative(x, r, out, count, [](float v) { return sigmoid(v) * (1.0f - sigmoid(v)); });
    case Function::tanh:
      return multiply_by_derivative(x, r, out, count, [](float v) { return 1.0f - tanhf(v) * tanhf(v); });
    case Function::elu:
      return multiply_by_derivative(x, r, out, count, [&](float v) { return v > 0 ? 1.0f : f.alpha * expf(v); });
    case Function::hard_sigmoid:
      return multiply_by_derivative(x, r, out, count, [&](float v) {
        const float inner = f.alpha * v + f.beta;
        return inner > 0 && inner < 1 ? f.alpha : 0.0f;
      });
    case Function::hard_swish:
      return multiply_by_derivative(x, r, out, count, [](float v) {
        return v <= -3 ? 0.0f : v >= 3 ? 1.0f : v / 3.0f + 0.5f;
      });
  }
}

inline double lanes_sum(vec v) {
  double total = 0;
  for (int i = 0; i < kLanes; ++i) total += v[i];
  return total;
}

}  // namespace

void activate(const FunctionParameters& f, const float* x, const float* slope, float* y, long count) {
  switch (f.function) {
    case Function::relu:
      return map(x, y, count, [](vec v) { return positive(v); });
    case Function::leaky_relu:
      for (long i = 0; i < count; i += kLanes) {
        const vec v = load(x + i), s = slope ? load(slope + i) : splat(f.alpha);
        store(y + i, v >= 0 ? v : s * v);
      }
      return;
    case Function::clip:
      return map(x, y, count, [&](vec v) { return clamp(v, f.low, f.high); });
    case Function::sigmoid:
      return map_scalar(x, y, count, sigmoid);
    case Function::tanh:
      return map_scalar(x, y, count, tanhf);
    case Function::elu:
      return map_scalar(x, y, count, [&](float v) { return v >= 0 ? v : f.alpha * expm1f(v); });
    case Function::hard_sigmoid:
      return map(x, y, count, [&](vec v) { return clamp(f.alpha * v + f.beta, 0, 1); });
    case Function::hard_swish:
      return map(x, y, count, [](vec v) { return v * clamp(v * (1.0f / 6.0f) + 0.5f, 0, 1); });
  }
}

void activation_relevance(ActivationRule rule, const FunctionParameters& f, const float* x, const float* slope,
                          const float* r, float* out, long count) {
  switch (rule) {
    case ActivationRule::gradient:
      return gradient(f, x, slope, r, out, count);
    case ActivationRule::deconvnet:
      return map(r, out, count, [](vec v) { return positive(v); });
    case ActivationRule::guided_backprop:
      for (long i = 0; i < count; i += kLanes) store(out + i, load(x + i) > 0 ? positive(load(r + i)) : vec{});
      return;
    case ActivationRule::beta_smooth:
      return multiply_by_derivative(x, r, out, count, [&](float v) { return sigmoid(f.beta * v); });
  }
}

void part(float p, float n, const float* x, float* y, long count) {
  map(x, y, count, [=](vec v) { return p * positive(v) + n * negative(v); });
}

void quotient(const QuotientTask& task, QuotientSums& sums, long count) {
  vec bias_sum = vec{}, stabilizer_sum = vec{}, quotient_sum = vec{};
  for (long i = 0; i < count; i += kLanes) {
    const long lane = i % kBlock;
    const vec z = load(task.z + i);
    const vec stabilized = z + (z >= 0 ? splat(task.stabilizer) : splat(-task.stabilizer));
    vec r = task.share * load(task.r + i);
    if (task.gate != Gate::open) {
      const vec own = load(task.own + i);
      r = task.gate == Gate::positive ? (own > 0 ? r : vec{}) : (own < 0 ? r : vec{});
    }
    const vec safe = stabilized == 0 ? splat(1) : stabilized;  // 0 / 0 counts as 0
    const vec s = stabilized == 0 ? vec{} : r / safe;
    store(task.s + i, s);
    if (task.bias) bias_sum += s * load_loose(task.bias + lane);
    stabilizer_sum += s * (stabilized - z);
    quotient_sum += s * stabilized;
  }
  sums.bias += lanes_sum(bias_sum);
  sums.stabilizer += lanes_sum(stabilizer_sum);
  sums.quotients += lanes_sum(quotient_sum);
}

void contribute(float p, float n, float sign, const float* a, const float* c, bool accumulate, float* out, long count) {
  p *= sign;
  n *= sign;
  for (long i = 0; i < count; i += kLanes) {
    const vec x = load(a + i);
    const vec taken = p == n ? p * x : p * positive(x) + n * negative(x);
    const vec handed = taken * load(c + i);
    store(out + i, accumulate ? load(out + i) + handed : handed);
  }
}

void affine(const float* x, const float* scale, const float* shift, float* y, long count) {
  for (long i = 0; i < count; i += kLanes) {
    vec v = load(x + i);
    if (scale) v *= load(scale + i);
    if (shift) v += load(shift + i);
    store(y + i, v);
  }
}

void add(const float* x, const float* y, float* out, long count) {
  for (long i = 0; i < count; i += kLanes) store(out + i, load(x + i) + load(y + i));
}

double sum(const float* x, long count) {
  vec total = vec{};
  for (long i = 0; i < count; i += kLanes) total += load(x + i);
  return lanes_sum(total);
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
