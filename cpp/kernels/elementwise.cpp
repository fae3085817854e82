// Elementwise steps on some rows of one block: one pass each, vector by vector, at the speed of the cache or memory
// that holds them.
#include "rows.h"

namespace lrpfast {
namespace LRPFAST_ISA {
namespace {

float largest(In x, Area area) {
  vec most = vec{};
  for_vectors(area, [&](int row, long i) {
    const vec size = magnitude(load(x, row, i));
    most = size > most ? size : most;
  });
  return lanes_max(most);
}

// Fields of the task are copied to where no store can reach them, so that they stay in registers.
template <Gate G, bool kNoise>
void quotient_through(const QuotientTask& task, QuotientSums& sums, Area area) {
  vec received_sum = vec{}, bias_sum = vec{}, stabilizer_sum = vec{}, quotient_sum = vec{};
  const vec share = splat(task.share), stabilizer = splat(task.stabilizer);
  const vec of_own = splat(task.of_own), of_values = splat(task.of_values);
  const vec floor = splat(kNoise ? task.noise * largest(task.values, area) : 0);
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
        vec s = stabilized == 0 ? vec{} : quotient;  // 0 / 0 counts as 0
        if (kNoise) s = magnitude(z) < floor ? vec{} : s;
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

template <Gate G>
void quotient_of_gate(const QuotientTask& task, QuotientSums& sums, Area area) {
  return task.noise > 0 ? quotient_through<G, true>(task, sums, area) : quotient_through<G, false>(task, sums, area);
}

}  // namespace

void part(float p, float n, In x, Out y, Area area) {
  map(nullptr, x, y, area, [=](vec v) { return p * positive(v) + n * negative(v); });
}

void quotient(const QuotientTask& task, QuotientSums& sums, Area area) {
  switch (task.gate) {
    case Gate::open:
      return quotient_of_gate<Gate::open>(task, sums, area);
    case Gate::positive:
      return quotient_of_gate<Gate::positive>(task, sums, area);
    case Gate::negative:
      return quotient_of_gate<Gate::negative>(task, sums, area);
  }
}

float contribute(const ContributionTask& task, Area area) {
  const vec p = splat(task.positive), n = splat(task.negative);
  const bool whole = task.positive == task.negative, accumulate = task.accumulate;
  vec total = vec{};
  for (int row = 0; row < area.rows; ++row) {
    const float* a = task.a.at ? task.a.at + row * task.a.row : nullptr;
    const float* fixed = task.fixed.at ? task.fixed.at + row * task.fixed.row : nullptr;
    const float* spread = task.spread.at + row * task.spread.row;
    float* out = task.out.at + row * task.out.row;
    for (long i = 0; i < area.floats; i += kLanes) {
      vec taken = fixed ? load(fixed + i) : vec{};
      if (a) taken += whole ? p * load(a + i) : p * positive(load(a + i)) + n * negative(load(a + i));
      const vec handed = taken * load(spread + i);
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
