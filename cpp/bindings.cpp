// Python's view of the core: shape checks, release of the interpreter lock, errors. No arithmetic.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdlib>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>

#include "convolution.h"
#include "dispatch.h"
#include "elementwise.h"
#include "pooling.h"
#include "tensor.h"

namespace py = pybind11;
using namespace py::literals;

namespace lrpfast {
namespace {

using Floats = py::array_t<float, py::array::c_style>;
using Unlocked = py::call_guard<py::gil_scoped_release>;

const float* bias_of(const std::optional<Floats>& bias, int blocks) {
  if (!bias) return nullptr;
  if (bias->size() != static_cast<py::ssize_t>(blocks) * kBlock)
    throw std::invalid_argument("bias of " + std::to_string(bias->size()) + " values for " + std::to_string(blocks) +
                                " blocks of channels");
  return bias->data();
}

const float* factors_of(const Floats& factors, const Tensor& windows) {
  if (factors.size() != windows.pixels())
    throw std::invalid_argument(std::to_string(factors.size()) + " factors for " + std::to_string(windows.pixels()) +
                                " windows");
  return factors.data();
}

// Positions in maps are ints in the core. What would leave their range is refused here, so that no sum or product
// there can overflow.
constexpr std::int64_t kLargest = std::numeric_limits<int>::max();

Tensor make_tensor(Pool& pool, int samples, int channels, Size3 size, Size3 before, Size3 after) {
  bool fits = channels <= kLargest - kBlock;
  for (int axis = 0; axis < 3; ++axis)
    fits = fits && std::int64_t{before[axis]} + size[axis] + after[axis] <= kLargest / kBlock;
  if (!fits) throw std::invalid_argument("tensor with an impossible size");
  return {pool, samples, channels, size, before, after};
}

Window make_window(Size3 kernel, Size3 strides, Size3 dilations, Size3 before) {
  for (int axis = 0; axis < 3; ++axis)
    if (kernel[axis] < 1 || strides[axis] < 1 || dilations[axis] < 1)
      throw std::invalid_argument("window: kernel, strides and dilations must be 1 or more");
  return {kernel, strides, dilations, before};
}

// `map` is what the windows look at, `windows` has one pixel for each.
void check_window(const Window& window, const Tensor& map, const Tensor& windows) {
  if (&map == &windows) throw std::invalid_argument("one tensor cannot be both the map and its windows");
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t span = std::int64_t{windows.size[axis]} * window.strides[axis] +
                              std::int64_t{window.kernel[axis]} * window.dilations[axis] +
                              std::abs(std::int64_t{window.before[axis]}) + map.size[axis];
    if (span > kLargest / 2) throw std::invalid_argument("windows that reach impossibly far");
  }
}

// A window that meets no element of the map has no largest one.
void check_meets(const Window& window, const Tensor& map, const Tensor& windows) {
  for (int axis = 0; axis < 3; ++axis)
    for (int i = 0; i < windows.size[axis]; ++i) {
      const int dilation = window.dilations[axis], start = i * window.strides[axis] - window.before[axis];
      const int first = start < 0 ? (dilation - 1 - start) / dilation : 0;  // tap, the first not ahead of the map
      if (first >= window.kernel[axis] || start + first * dilation >= map.size[axis])
        throw std::invalid_argument("max_pool: window " + std::to_string(i) + " on axis " + std::to_string(axis) +
                                    " lies beside the map");
    }
}

void load(Tensor& tensor, const py::array_t<float>& values, int threads) {
  const py::ssize_t expected[5] = {tensor.samples, tensor.channels, tensor.size[0], tensor.size[1], tensor.size[2]};
  if (values.ndim() != 5) throw std::invalid_argument("load: the array must have 5 axes");
  std::array<std::int64_t, 5> strides{};
  for (int axis = 0; axis < 5; ++axis) {
    if (values.shape(axis) != expected[axis])
      throw std::invalid_argument("load: axis " + std::to_string(axis) + " has size " +
                                  std::to_string(values.shape(axis)) + ", not " + std::to_string(expected[axis]));
    if (values.strides(axis) % static_cast<py::ssize_t>(sizeof(float)) != 0)
      throw std::invalid_argument("load: strides must be whole numbers of floats");
    strides[axis] = values.strides(axis) / static_cast<py::ssize_t>(sizeof(float));
  }
  const float* data = values.data();
  const py::gil_scoped_release unlocked;
  tensor.load(data, strides, threads);
}

Floats store(const Tensor& tensor, int threads) {
  Floats values({tensor.samples, tensor.channels, tensor.size[0], tensor.size[1], tensor.size[2]});
  float* data = values.mutable_data();
  const py::gil_scoped_release unlocked;
  tensor.store(data, threads);
  return values;
}

PackedWeights pack(const Floats& weights, int groups, bool adjoint) {
  if (weights.ndim() != 3) throw std::invalid_argument("weights must be (outputs, inputs of a group, taps)");
  const float* data = weights.data();
  const int outputs = static_cast<int>(weights.shape(0)), inputs = static_cast<int>(weights.shape(1));
  const int taps = static_cast<int>(weights.shape(2));
  const py::gil_scoped_release unlocked;
  return {data, outputs, inputs, taps, groups, adjoint};
}

py::array_t<double> per_sample(const std::vector<QuotientSums>& maps, const Tensor& s) {
  py::array_t<double> totals({s.samples, 3});
  auto view = totals.mutable_unchecked<2>();
  for (int n = 0; n < s.samples; ++n) {
    QuotientSums total{};
    for (int b = 0; b < s.blocks; ++b) {
      const QuotientSums& map = maps[static_cast<std::size_t>(n) * s.blocks + b];
      total.bias += map.bias;
      total.stabilizer += map.stabilizer;
      total.quotients += map.quotients;
    }
    view(n, 0) = total.bias;
    view(n, 1) = total.stabilizer;
    view(n, 2) = total.quotients;
  }
  return totals;
}

py::array_t<double> quotient_of(const Tensor& r, const Tensor& z, const Tensor* own, const std::optional<Floats>& bias,
                                Gate gate, float share, float stabilizer, const Tensor& s, int threads) {
  const Quotient task{&r, &z, own, bias_of(bias, s.blocks), gate, share, stabilizer};
  if (gate != Gate::open && own == nullptr) throw std::invalid_argument("quotient: a gate needs the pre-activation");
  std::vector<QuotientSums> maps;
  {
    const py::gil_scoped_release unlocked;
    maps = quotient(task, s, threads);
  }
  return per_sample(maps, s);
}

py::array_t<double> sums_of(const Tensor& x, int threads) {
  std::vector<double> totals;
  {
    const py::gil_scoped_release unlocked;
    totals = sums(x, threads);
  }
  return py::array_t<double>(static_cast<py::ssize_t>(totals.size()), totals.data());
}

void bind_types(py::module_& m) {
  py::class_<Pool>(m, "Pool").def(py::init<>());
  py::class_<Tensor>(m, "Tensor")
      .def(py::init(&make_tensor), "pool"_a, "samples"_a, "channels"_a, "size"_a, "before"_a = Size3{},
           "after"_a = Size3{})
      .def_readonly("samples", &Tensor::samples)
      .def_readonly("channels", &Tensor::channels)
      .def_readonly("size", &Tensor::size)
      .def("load", &load, "values"_a, "threads"_a)
      .def("fill", &Tensor::fill, "value"_a, "threads"_a, Unlocked())
      .def("store", &store, "threads"_a);
  py::class_<Window>(m, "Window").def(py::init(&make_window), "kernel"_a, "strides"_a, "dilations"_a, "before"_a);
  py::class_<PackedWeights>(m, "PackedWeights").def(py::init(&pack), "weights"_a, "groups"_a, "adjoint"_a);
  py::class_<FunctionParameters>(m, "FunctionParameters")
      .def(py::init<Function, float, float, float, float>(), "function"_a, "alpha"_a, "beta"_a, "low"_a, "high"_a);
  py::enum_<Function>(m, "Function")
      .value("relu", Function::relu)
      .value("leaky_relu", Function::leaky_relu)
      .value("clip", Function::clip)
      .value("sigmoid", Function::sigmoid)
      .value("tanh", Function::tanh)
      .value("elu", Function::elu)
      .value("hard_sigmoid", Function::hard_sigmoid)
      .value("hard_swish", Function::hard_swish);
  py::enum_<ActivationRule>(m, "ActivationRule")
      .value("gradient", ActivationRule::gradient)
      .value("deconvnet", ActivationRule::deconvnet)
      .value("guided_backprop", ActivationRule::guided_backprop)
      .value("beta_smooth", ActivationRule::beta_smooth);
  py::enum_<Gate>(m, "Gate")
      .value("open", Gate::open)
      .value("positive", Gate::positive)
      .value("negative", Gate::negative);
}

void bind_steps(py::module_& m) {
  m.def(
      "convolve",
      [](const PackedWeights& weights, const Window& window, const Tensor& source, const Tensor& target,
         const std::optional<Floats>& bias, bool accumulate, int threads) {
        const float* values = bias_of(bias, target.blocks);
        check_window(window, weights.adjoint ? target : source, weights.adjoint ? source : target);
        const py::gil_scoped_release unlocked;
        convolve(weights, window, source, target, values, accumulate, threads);
      },
      "weights"_a, "window"_a, "source"_a, "target"_a, "bias"_a, "accumulate"_a, "threads"_a);
  m.def("activate", &activate, "function"_a, "x"_a, "slope"_a, "y"_a, "threads"_a, Unlocked());
  m.def("activation_relevance", &activation_relevance, "rule"_a, "function"_a, "x"_a, "slope"_a, "r"_a, "out"_a,
        "threads"_a, Unlocked());
  m.def("part", &part, "positive"_a, "negative"_a, "x"_a, "y"_a, "threads"_a, Unlocked());
  m.def("quotient", &quotient_of, "r"_a, "z"_a, "own"_a, "bias"_a, "gate"_a, "share"_a, "stabilizer"_a, "s"_a,
        "threads"_a);
  m.def("contribute", &contribute, "positive"_a, "negative"_a, "sign"_a, "a"_a, "c"_a, "accumulate"_a, "out"_a,
        "threads"_a, Unlocked());
  m.def("affine", &affine, "x"_a, "scale"_a, "shift"_a, "y"_a, "threads"_a, Unlocked());
  m.def("add", &add, "x"_a, "y"_a, "out"_a, "threads"_a, Unlocked());
  m.def("sums", &sums_of, "x"_a, "threads"_a);
  m.def(
      "copy_channels",
      [](const Tensor& source, int source_from, const Tensor& target, int target_from, int count, int threads) {
        if (&source == &target) throw std::invalid_argument("copy_channels: source and target are one tensor");
        if (count < 1 || source_from > source.channels - count || target_from > target.channels - count)
          throw std::invalid_argument("copy_channels: channels that are not there");
        copy_channels(source, source_from, target, target_from, count, threads);
      },
      "source"_a, "source_from"_a, "target"_a, "target_from"_a, "count"_a, "threads"_a, Unlocked());
}

void bind_pools(py::module_& m) {
  m.def(
      "max_pool",
      [](const Window& window, const Tensor& x, const Tensor& y, const Tensor& winners, int threads) {
        check_window(window, x, y);
        check_window(window, x, winners);
        if (&y == &winners) throw std::invalid_argument("max_pool: one tensor cannot hold both values and winners");
        check_meets(window, x, y);
        max_pool(window, x, y, winners, threads);
      },
      "window"_a, "x"_a, "y"_a, "winners"_a, "threads"_a, Unlocked());
  m.def(
      "max_unpool",
      [](const Window& window, const Tensor& r, const Tensor& winners, const Tensor& out, int threads) {
        check_window(window, out, r);
        check_window(window, out, winners);
        max_unpool(window, r, winners, out, threads);
      },
      "window"_a, "r"_a, "winners"_a, "out"_a, "threads"_a, Unlocked());
  m.def(
      "sum_pool",
      [](const Window& window, const Tensor& x, const Floats& factors, const Tensor& y, int threads) {
        const float* values = factors_of(factors, y);
        check_window(window, x, y);
        const py::gil_scoped_release unlocked;
        sum_pool(window, x, values, y, threads);
      },
      "window"_a, "x"_a, "factors"_a, "y"_a, "threads"_a);
  m.def(
      "sum_unpool",
      [](const Window& window, const Tensor& s, const Floats& factors, const Tensor& out, int threads) {
        const float* values = factors_of(factors, s);
        check_window(window, out, s);
        const py::gil_scoped_release unlocked;
        sum_unpool(window, s, values, out, threads);
      },
      "window"_a, "s"_a, "factors"_a, "out"_a, "threads"_a);
}

}  // namespace
}  // namespace lrpfast

PYBIND11_MODULE(_native, m) {
  m.doc() = "Kernels of lrpfast on tensors in blocked layout; the shapes of all operands are checked.";
  m.def("isa", [] { return std::string(lrpfast::kernels().name); });
  m.def("available_isas", &lrpfast::available_isas);
  lrpfast::bind_types(m);
  lrpfast::bind_steps(m);
  lrpfast::bind_pools(m);
}
