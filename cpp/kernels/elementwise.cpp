// Elementwise steps on some rows of one block: one pass each, vector by vector, at the speed of the cache or memory
// that holds them.
#include <math.h>

#include "vector.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

inline vec load(In x, int row, long i) { return load(x.at + row * x.row + i); }
inline void store(Out y, int row, long i, vec v) { store(y.at + row * y.row + i, v); }

// Calls f(row, position of a vector in it) for the whole area.
template <class F>
inline void for_vectors(Area area, F f) {
  for (int row = 0; row < area.rows; ++row)
    for (long i = 0; i < area.floats; i += kLanes) f(row, i);
}

template <class F>
inline void map(const float* bias, In x, Out y, Area area, F f) {
  if (bias == nullptr) return for_vectors(area, [&](int row, long i) { store(y, row, i, f(load(x, row, i))); });
  for_vectors(area, [&](int row, long i) { store(y, row, i, f(load(x, row, i) + load_loose(bias + i % kBlock))); });
}

// For functions that have no vector form here.
template <class F>
inline void map_scalar(const float* bias, In x, Out y, Area area, F f) {
  for (int row = 0; row < area.rows; ++row)
    for (long i = 0; i < area.floats; ++i)
      y.at[row * y.row + i] = f(x.at[row * x.row + i] + (bias ? bias[i % kBlock] : 0.0f));
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
  }
}

// Fields of the task are copied to where no store can reach them, so that they stay in registers.
template <Gate G>
void quotient_through(const QuotientTask& task, QuotientSums& sums, Area area) {
  vec received_sum = vec{}, bias_sum = vec{}, stabilizer_sum = vec{}, quotient_sum = vec{};
  const vec share = splat(task.share), stabilizer = splat(task.stabilizer);
  const vec of_own = splat(task.of_own), of_values = splat(task.of_values);
  vec bias[kVectors], added[kVectors];  // for the account, and for the denominator
  for (int v = 0; v < kVectors; ++v) {
    bias[v] = task.bias ? load_loose(task.bias + v * kLanes) : vec{};
    added[v] = task.within ? bias[v] - load_loose(task.within + v * kLanes) : bias[v];
  }
  for (int row = 0; row < area.rows; ++row) {
    const float* values = task.values.at + row * task.values.row;
    const float* received = task.r.at + row * task.r.row;
    const float* constant = task.constant.at ? task.constant.at + row * task.constant.row : nullptr;
    const float* own = task.own.at ? task.own.at + row * task.own.row : nullptr;
    float* out = task.s.at + row * task.s.row;
    for (long pixel = 0; pixel < area.floats; pixel += kBlock)
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const long i = pixel + v * kLanes;
        vec z = of_values * load(values + i) + added[v];
        if (constant) z += load(constant + i);
        if (task.of_own != 0) z += of_own * load(own + i);
        const vec stabilized = z + (z >= 0 ? stabilizer : -stabilizer);
        const vec relevance = load(received + i);
        vec r = share * relevance;
        if (G == Gate::positive) r = load(own + i) > 0 ? r : vec{};
        if (G == Gate::negative) r = load(own + i) < 0 ? r : vec{};
        const vec quotient = r / (stabilized == 0 ? splat(1) : stabilized);
        const vec s = stabilized == 0 ? vec{} : quotient;  // 0 / 0 counts as 0
        store(out + i, s);
        received_sum += relevance;
        bias_sum += s * bias[v];
        stabilizer_sum += s * (stabilized - z);
        quotient_sum += s * stabilized;
      }
  }
  sums.received += lanes_sum(received_sum);
  sums.bias += lanes_sum(bias_sum);
  sums.stabilizer += lanes_sum(stabilizer_sum);
  sums.quotients += lanes_sum(quotient_sum);
}

// The sums over all channels of some pixels, each in the first lane of its own.
template <int Pixels>
void sum_pixels(const float* x, long block, int blocks, float* out) {
  vec totals[Pixels];
  for (int i = 0; i < Pixels; ++i) totals[i] = vec{};
  for (int b = 0; b < blocks; ++b, x += block)
    for (int i = 0; i < Pixels; ++i)
      for (int v = 0; v < kVectors; ++v) totals[i] += load(x + i * kBlock + v * kLanes);
  alignas(64) float found[kLanes];
  lanes_sums<Pixels>(totals, found);
  for (int i = 0; i < Pixels; ++i, out += kBlock) {
    for (int v = 0; v < kVectors; ++v) store(out + v * kLanes, vec{});
    out[0] = found[i];
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
      return map(bias, x, y, area, [&](vec v) { return clamp(v, f.low, f.high); });
    case Function::sigmoid:
      return map_scalar(bias, x, y, area, sigmoid);
    case Function::tanh:
      return map_scalar(bias, x, y, area, tanhf);
    case Function::elu:
      return map_scalar(bias, x, y, area, [&](float v) { return v >= 0 ? v : f.alpha * expm1f(v); });
    case Function::hard_sigmoid:
      return map(bias, x, y, area, [&](vec v) { return clamp(f.alpha * v + f.beta, 0, 1); });
    case Function::hard_swish:
      return map(bias, x, y, area, [](vec v) { return v * clamp(v * (1.0f / 6.0f) + 0.5f, 0, 1); });
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

void part(float p, float n, In x, Out y, Area area) {
  map(nullptr, x, y, area, [=](vec v) { return p * positive(v) + n * negative(v); });
}

void quotient(const QuotientTask& task, QuotientSums& sums, Area area) {
  switch (task.gate) {
    case Gate::open:
      return quotient_through<Gate::open>(task, sums, area);
    case Gate::positive:
      return quotient_through<Gate::positive>(task, sums, area);
    case Gate::negative:
      return quotient_through<Gate::negative>(task, sums, area);
  }
}

double contribute(const ContributionTask& task, Area area) {
  const vec p = splat(task.positive), n = splat(task.negative);
  const bool whole = task.positive == task.negative, accumulate = task.accumulate;
  vec total = vec{};
  for (int row = 0; row < area.rows; ++row) {
    const float* taken = task.a.at + row * task.a.row;
    const float* spread = task.spread.at + row * task.spread.row;
    float* out = task.out.at + row * task.out.row;
    for (long i = 0; i < area.floats; i += kLanes) {
      const vec a = load(taken + i);
      const vec handed = (whole ? p * a : p * positive(a) + n * negative(a)) * load(spread + i);
      total += handed;
      store(out + i, accumulate ? load(out + i) + handed : handed);
    }
  }
  return lanes_sum(total);
}

void affine(In x, In scale, In shift, Out y, Area area) {
  for_vectors(area, [&](int row, long i) {
    vec v = load(x, row, i);
    if (scale.at) v *= load(scale, row, i);
    if (shift.at) v += load(shift, row, i);
    store(y, row, i, v);
  });
}

void add(In x, In y, Out out, Area area) {
  for_vectors(area, [&](int row, long i) { store(out, row, i, load(x, row, i) + load(y, row, i)); });
}

double sum(In x, Area area) {
  vec total = vec{};
  for_vectors(area, [&](int row, long i) { total += load(x, row, i); });
  return lanes_sum(total);
}

void sum_channels(In x, long block, int blocks, Out y, Area area) {
  for (int row = 0; row < area.rows; ++row) {
    const float* from = x.at + row * x.row;
    float* out = y.at + row * y.row;
    long left = area.floats / kBlock;
    for (; left >= kLanes; left -= kLanes, from += kLanes * kBlock, out += kLanes * kBlock)
      sum_pixels<kLanes>(from, block, blocks, out);
    for (; left > 0; --left, from += kBlock, out += kBlock) sum_pixels<1>(from, block, blocks, out);
  }
}

}  // namespace LRPFAST_ISA
}  // namespace lrpfast
