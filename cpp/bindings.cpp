// Python's view of the core: shape checks, release of the interpreter lock, errors. No arithmetic.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include "convolution.h"
#include "dispatch.h"
#include "elementwise.h"
#include "epilogue.h"
#include "patch.h"
#include "places.h"
#include "pooling.h"
#include "program.h"
#include "redistribution.h"
#include "skip.h"
#include "tensor.h"
#include "threads.h"
#include "weights.h"
#include "winograd.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace py = pybind11;
using namespace py::literals;

namespace lrpfast {
namespace {

// NumPy copies what is not aligned, as the fields of records are.
constexpr int kAligned = py::detail::npy_api::NPY_ARRAY_ALIGNED_;

using Floats = py::array_t<float, py::array::c_style | kAligned>;
using AnyFloats = py::array_t<float, py::array::forcecast | kAligned>;
using PlacesArray = py::array_t<std::int64_t, py::array::c_style | kAligned>;
using Numbers = py::array_t<std::int32_t, py::array::c_style | kAligned>;
using Unlocked = py::call_guard<py::gil_scoped_release>;

Lanes lanes_of(const std::optional<Floats>& values) {
  if (!values) return {};
  return {values->data(), values->data() + values->size()};
}

template <class T>
std::vector<T> elements_of(const py::array_t<T, py::array::c_style | kAligned>& array) {
  return {array.data(), array.data() + array.size()};
}

// The blocks that hold some channels.
Tensor whole_blocks(const Tensor& tensor, int from, int count) {
  const int first = from / kBlock * kBlock, end = blocks_of(from + count) * kBlock;
  return tensor.channels_from(first, std::min(end, tensor.channels) - first);
}

std::vector<float> factors_of(const Floats& factors, const Tensor& windows) {
  if (factors.size() != windows.pixels())
    throw std::invalid_argument(std::to_string(factors.size()) + " factors for " + std::to_string(windows.pixels()) +
                                " windows");
  return {factors.data(), factors.data() + factors.size()};
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
void check_span(const Window& window, const Size3& map, const Size3& windows) {
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t span = std::int64_t{windows[axis]} * window.strides[axis] +
                              std::int64_t{window.kernel[axis]} * window.dilations[axis] +
                              std::abs(std::int64_t{window.before[axis]}) + map[axis];
    if (span > kLargest / 2) throw std::invalid_argument("windows that reach impossibly far");
  }
}

void check_window(const Window& window, const Tensor& map, const Tensor& windows) {
  if (map.overlaps(windows)) throw std::invalid_argument("one tensor cannot be both the map and its windows");
  check_span(window, map.size, windows.size);
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

// Where the values of an array lie, which must be of the tensor's shape.
Tensor::Strides strides_for(const Tensor& tensor, const AnyFloats& values) {
  const py::ssize_t expected[5] = {tensor.samples, tensor.channels, tensor.size[0], tensor.size[1], tensor.size[2]};
  if (values.ndim() != 5) throw std::invalid_argument("values of a tensor: the array must have 5 axes");
  Tensor::Strides strides{};
  for (int axis = 0; axis < 5; ++axis) {
    if (values.shape(axis) != expected[axis])
      throw std::invalid_argument("values of a tensor: axis " + std::to_string(axis) + " has size " +
                                  std::to_string(values.shape(axis)) + ", not " + std::to_string(expected[axis]));
    strides[axis] = values.strides(axis) / static_cast<py::ssize_t>(sizeof(float));
  }
  return strides;
}

void load(Tensor& tensor, const AnyFloats& values, int threads) {
  const Tensor::Strides strides = strides_for(tensor, values);
  const float* data = values.data();
  const py::gil_scoped_release unlocked;
  tensor.load(data, strides, threads);
}

void store_to(const Tensor& tensor, AnyFloats& values, int threads) {
  const Tensor::Strides strides = strides_for(tensor, values);
  float* data = values.mutable_data();
  const py::gil_scoped_release unlocked;
  tensor.store(data, strides, threads);
}

Floats store(const Tensor& tensor, int threads) {
  Floats values({tensor.samples, tensor.channels, tensor.size[0], tensor.size[1], tensor.size[2]});
  AnyFloats whole = values;
  store_to(tensor, whole, threads);
  return values;
}

// Weights for inputs that are not above zero, which are of the shape of the others; null without any.
const float* as_large(const std::optional<Floats>& for_negative, const Floats& weights) {
  if (!for_negative) return nullptr;
  if (for_negative->ndim() != 3 || !std::equal(weights.shape(), weights.shape() + 3, for_negative->shape()))
    throw std::invalid_argument("weights for negative inputs must have the shape of the others");
  return for_negative->data();
}

// Channels and taps are ints in the core, too; also those of all groups together.
void check_sizes(const Floats& weights, int groups = 1) {
  for (int axis = 0; axis < 3; ++axis)
    if (weights.shape(axis) > (kLargest - kBlock) / std::max(groups, 1))
      throw std::invalid_argument("weights of an impossible size");
}

std::shared_ptr<PackedWeights> pack(const Floats& weights, int groups, bool adjoint,
                                    const std::optional<Floats>& for_negative, std::optional<Pool> pool) {
  if (weights.ndim() != 3) throw std::invalid_argument("weights must be (outputs, inputs of a group, taps)");
  check_sizes(weights, groups);
  const float *data = weights.data(), *others = as_large(for_negative, weights);
  const int outputs = static_cast<int>(weights.shape(0)), inputs = static_cast<int>(weights.shape(1));
  const int taps = static_cast<int>(weights.shape(2));
  const py::gil_scoped_release unlocked;
  if (!pool) pool.emplace();
  return std::make_shared<PackedWeights>(*pool, data, others, outputs, inputs, taps, groups, adjoint);
}

std::shared_ptr<WinogradWeights> pack_winograd(const Floats& weights, bool adjoint, int threads,
                                               std::optional<Pool> pool) {
  if (weights.ndim() != 3 || weights.shape(2) != 9)
    throw std::invalid_argument("weights must be (outputs, inputs, 9) for Winograd's algorithm");
  check_sizes(weights);
  const float* data = weights.data();
  const int outputs = static_cast<int>(weights.shape(0)), inputs = static_cast<int>(weights.shape(1));
  const py::gil_scoped_release unlocked;
  if (!pool) pool.emplace();
  return std::make_shared<WinogradWeights>(*pool, data, outputs, inputs, adjoint, threads);
}

std::shared_ptr<SkipWeights> pack_skip(const Floats& weights, bool adjoint, int threads, std::optional<Pool> pool) {
  if (weights.ndim() != 3) throw std::invalid_argument("weights must be (outputs, inputs, taps)");
  check_sizes(weights);
  const float* data = weights.data();
  const int outputs = static_cast<int>(weights.shape(0)), inputs = static_cast<int>(weights.shape(1));
  const int taps = static_cast<int>(weights.shape(2));
  const py::gil_scoped_release unlocked;
  if (!pool) pool.emplace();
  return std::make_shared<SkipWeights>(*pool, data, outputs, inputs, taps, adjoint, threads);
}

std::shared_ptr<PatchWeights> pack_patches(const Floats& weights, int rows, int columns, std::optional<Pool> pool) {
  if (weights.ndim() != 3 || weights.shape(2) != static_cast<py::ssize_t>(rows) * columns)
    throw std::invalid_argument("weights must be (outputs, inputs, rows * columns) for patches");
  check_sizes(weights);
  const float* data = weights.data();
  const int outputs = static_cast<int>(weights.shape(0)), inputs = static_cast<int>(weights.shape(1));
  const py::gil_scoped_release unlocked;
  if (!pool) pool.emplace();
  return std::make_shared<PatchWeights>(*pool, data, outputs, inputs, rows, columns);
}

py::array_t<double> read(const Figures& figures) {
  py::array_t<double> table({figures.samples(), figures.columns()});
  figures.write(table.mutable_data(), figures.columns());
  return table;
}

py::array_t<double> read_all(const Program& program, int threads) {
  py::array_t<double> table({program.samples(), program.columns()});
  program.write(table.mutable_data(), threads);
  return table;
}

using PoolOf = std::tuple<Window, Tensor>;                       // windows and winners
using PoolTo = std::tuple<Window, Tensor, Tensor, float>;        // windows, values and winners
using Mix = std::vector<std::pair<float, float>>;                // of own, of values
using PartOf = std::tuple<float, float, std::optional<Tensor>>;  // positive, negative, fixed
using BranchOf = std::tuple<Tensor, Tensor, bool>;               // a, out, accumulate

std::shared_ptr<Activation> make_activation(int samples, int channels, Size3 size, FunctionParameters function,
                                            const std::optional<Floats>& bias, std::optional<Tensor> slope,
                                            std::optional<Tensor> y, const std::optional<PoolTo>& pool) {
  std::optional<Activation::Pool> to;
  if (pool) to = Activation::Pool{{std::get<0>(*pool), std::get<2>(*pool), std::get<3>(*pool)}, std::get<1>(*pool)};
  return std::make_shared<Activation>(samples, channels, size, function, lanes_of(bias), std::move(slope), std::move(y),
                                      std::move(to));
}

std::shared_ptr<Quotient> make_quotient(int samples, const Tensor& r, const std::optional<Tensor>& s,
                                        const std::vector<std::pair<Gate, float>>& groups, float stabilizer,
                                        const std::optional<Floats>& bias, const std::optional<Floats>& within,
                                        std::optional<Tensor> constant, std::optional<Tensor> own,
                                        const std::optional<PoolOf>& pool, const std::optional<Mix>& mix, float noise) {
  if (samples < 1) throw std::invalid_argument("quotient: no samples");
  Quotient::Terms terms{r,
                        s,
                        {},
                        {},
                        stabilizer,
                        lanes_of(bias),
                        lanes_of(within),
                        std::move(constant),
                        std::move(own),
                        mix.has_value(),
                        noise};
  if (pool) terms.pool = SidePool{std::get<0>(*pool), std::get<1>(*pool)};
  for (const auto& [gate, share] : groups) terms.groups.push_back({gate, share});
  if (mix && mix->size() != groups.size()) throw std::invalid_argument("quotient: a mix for each group, or none");
  for (std::size_t g = 0; mix && g < mix->size(); ++g)
    std::tie(terms.groups[g].of_own, terms.groups[g].of_values) = (*mix)[g];
  return std::make_shared<Quotient>(samples, std::move(terms));
}

std::shared_ptr<Contribution> make_contribution(const Tensor& a, const Tensor& out, bool accumulate,
                                                const std::vector<PartOf>& parts, bool in_planes) {
  std::vector<Contribution::Part> taken;
  for (const auto& [positive, negative, fixed] : parts) taken.push_back({positive, negative, fixed});
  return std::make_shared<Contribution>(a, out, accumulate, std::move(taken), in_planes);
}

// Python runs what handles a signal, such as Ctrl-C, on its main thread, and only when that asks.
void heed_signals() {
  static std::atomic<unsigned long> main_thread;
  main_thread = py::module_::import("threading").attr("main_thread")().attr("ident").cast<unsigned long>();
#if defined(__unix__) || defined(__APPLE__)
  pthread_atfork(nullptr, nullptr, [] { main_thread = PyThread_get_thread_ident(); });
#endif
  heed_interrupts = [] {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::milliseconds kEvery{50};
    static Clock::time_point next;
    if (PyThread_get_thread_ident() != main_thread || Clock::now() < next) return;
    const py::gil_scoped_acquire locked;
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
    next = Clock::now() + kEvery;
  };
}

void bind_types(py::module_& m) {
  m.attr("NARROW") = kNarrow;
  py::class_<Pool>(m, "Pool")
      .def(py::init<bool>(), "huge_pages"_a = false)
      .def_property_readonly("bytes", &Pool::bytes);
  py::class_<Tensor>(m, "Tensor")
      .def(py::init(&make_tensor), "pool"_a, "samples"_a, "channels"_a, "size"_a, "before"_a = Size3{},
           "after"_a = Size3{})
      .def_readonly("samples", &Tensor::samples)
      .def_readonly("channels", &Tensor::channels)
      .def_readonly("size", &Tensor::size)
      .def("channels_from", &Tensor::channels_from, "first"_a, "count"_a)
      .def("load", &load, "values"_a, "threads"_a)
      .def_property_readonly("has_halo", &Tensor::has_halo)
      .def("store", &store, "threads"_a)
      .def("store_to", &store_to, py::arg("values").noconvert(), "threads"_a);
  py::class_<Window>(m, "Window").def(py::init(&make_window), "kernel"_a, "strides"_a, "dilations"_a, "before"_a);
  py::class_<PackedWeights, std::shared_ptr<PackedWeights>>(m, "PackedWeights")
      .def(py::init(&pack), "weights"_a, "groups"_a, "adjoint"_a, "for_negative"_a = py::none(), "pool"_a = py::none())
      .def_property_readonly("is_narrow", [](const PackedWeights& w) { return w.form == Form::narrow; })
      .def_property_readonly("bytes", [](const PackedWeights& w) { return w.floats() * sizeof(float); });
  py::class_<WinogradWeights, std::shared_ptr<WinogradWeights>>(m, "WinogradWeights")
      .def(py::init(&pack_winograd), "weights"_a, "adjoint"_a, "threads"_a = 1, "pool"_a = py::none())
      .def_property_readonly("bytes", [](const WinogradWeights& w) { return w.floats() * sizeof(float); });
  py::class_<SkipWeights, std::shared_ptr<SkipWeights>>(m, "SkipWeights")
      .def(py::init(&pack_skip), "weights"_a, "adjoint"_a, "threads"_a = 1, "pool"_a = py::none())
      .def_property_readonly("bytes", [](const SkipWeights& w) { return w.floats() * sizeof(float); });
  py::class_<PatchWeights, std::shared_ptr<PatchWeights>>(m, "PatchWeights")
      .def(py::init(&pack_patches), "weights"_a, "rows"_a, "columns"_a, "pool"_a = py::none())
      .def_property_readonly("bytes", [](const PatchWeights& w) { return w.floats() * sizeof(float); });
  py::class_<FunctionParameters>(m, "FunctionParameters")
      .def(py::init<Function, float, float, float, float>(), "function"_a, "alpha"_a, "beta"_a, "low"_a, "high"_a);
  py::enum_<Function>(m, "Function")
      .value("identity", Function::identity)
      .value("relu", Function::relu)
      .value("leaky_relu", Function::leaky_relu)
      .value("clip", Function::clip)
      .value("sigmoid", Function::sigmoid)
      .value("tanh", Function::tanh)
      .value("elu", Function::elu)
      .value("hard_sigmoid", Function::hard_sigmoid)
      .value("hard_swish", Function::hard_swish)
      .value("softplus", Function::softplus)
      .value("softsign", Function::softsign)
      .value("silu", Function::silu)
      .value("mish", Function::mish)
      .value("gelu", Function::gelu)
      .value("gelu_tanh", Function::gelu_tanh)
      .value("erf", Function::erf)
      .value("exp", Function::exp)
      .value("log", Function::log)
      .value("square", Function::square)
      .value("sqrt", Function::sqrt)
      .value("power", Function::power)
      .value("reciprocal", Function::reciprocal)
      .value("abs", Function::abs);
  py::enum_<ActivationRule>(m, "ActivationRule")
      .value("gradient", ActivationRule::gradient)
      .value("deconvnet", ActivationRule::deconvnet)
      .value("guided_backprop", ActivationRule::guided_backprop)
      .value("beta_smooth", ActivationRule::beta_smooth);
  py::enum_<Gate>(m, "Gate")
      .value("open", Gate::open)
      .value("positive", Gate::positive)
      .value("negative", Gate::negative);
  py::enum_<PoolShare>(m, "PoolShare").value("ties", PoolShare::ties).value("values", PoolShare::values);
}

template <class T>
Step step_of(std::shared_ptr<T> figures) {
  return Step([figures = std::move(figures)](int threads) { figures->run(threads); });
}

void bind_programs(py::module_& m) {
  py::class_<Step>(m, "Step").def(
      "run", [](const Step& step, int threads) { step.run(threads); }, "threads"_a, Unlocked());
  py::class_<BatchStep, Step>(m, "BatchStep");
  py::class_<Figures, std::shared_ptr<Figures>>(m, "Figures").def("read", &read);
  py::class_<Program>(m, "Program")
      .def(py::init<>())
      .def("add", &Program::add, "step"_a)
      .def("enter", &Program::enter, "figures"_a.none(false))
      .def("run", py::overload_cast<int>(&Program::run, py::const_), "threads"_a, Unlocked())
      .def("timed_run", &Program::timed_run, "threads"_a, Unlocked())
      .def("figures", &read_all, "threads"_a)
      .def("__len__", &Program::size);
  m.def("run_side_by_side", &run_side_by_side, "programs"_a, "threads"_a, Unlocked());
}

void bind_epilogues(py::module_& m) {
  py::class_<Epilogue, std::shared_ptr<Epilogue>>(m, "Epilogue");
  py::class_<Activation, Epilogue, std::shared_ptr<Activation>>(m, "Activation")
      .def(py::init(&make_activation), "samples"_a, "channels"_a, "size"_a, "function"_a, "bias"_a = py::none(),
           "slope"_a = py::none(), "y"_a = py::none(), "pool"_a = py::none());
  py::class_<Quotient, Epilogue, Figures, std::shared_ptr<Quotient>>(m, "Quotient")
      .def(py::init(&make_quotient), "samples"_a, "r"_a, "s"_a, "groups"_a, "stabilizer"_a, "bias"_a = py::none(),
           "within"_a = py::none(), "constant"_a = py::none(), "own"_a = py::none(), "pool"_a = py::none(),
           "mix"_a = py::none(), "noise"_a = 0.0f);
  py::class_<Contribution, Epilogue, Figures, std::shared_ptr<Contribution>>(m, "Contribution")
      .def(py::init(&make_contribution), "a"_a, "out"_a, "accumulate"_a,
           "parts"_a = std::vector<PartOf>{{1.0f, 1.0f, std::nullopt}}, "in_planes"_a = false);
}

void bind_linear_maps(py::module_& m) {
  m.def(
      "convolve",
      [](std::shared_ptr<PackedWeights> weights, const Window& window, const Tensor& source,
         std::shared_ptr<Epilogue> epilogue, bool in_planes) {
        const Tensor seen = in_planes ? source.image() : source;
        if (weights->adjoint)
          check_span(window, epilogue->size, seen.size);
        else
          check_span(window, seen.size, epilogue->size);
        return convolve(std::move(weights), window, seen, std::move(epilogue));
      },
      "weights"_a.none(false), "window"_a, "source"_a, "epilogue"_a.none(false), "in_planes"_a = false);
  m.def(
      "winograd",
      [](std::shared_ptr<WinogradWeights> weights, const std::array<int, 2>& before, const Tensor& source,
         std::shared_ptr<Epilogue> epilogue) {
        return winograd(std::move(weights), before, source, std::move(epilogue));
      },
      "weights"_a.none(false), "before"_a, "source"_a, "epilogue"_a.none(false));
  m.def(
      "skip",
      [](std::shared_ptr<SkipWeights> weights, const Window& window, const Tensor& source,
         std::shared_ptr<Epilogue> epilogue) { return skip(std::move(weights), window, source, std::move(epilogue)); },
      "weights"_a.none(false), "window"_a, "source"_a, "epilogue"_a.none(false));
  m.def(
      "skip_by_sign",
      [](std::shared_ptr<SkipWeights> weights, const Tensor& source, std::shared_ptr<Epilogue> epilogue,
         std::vector<std::pair<float, float>> factors) {
        return skip_by_sign(std::move(weights), source, std::move(epilogue), std::move(factors));
      },
      "weights"_a.none(false), "source"_a, "epilogue"_a.none(false), "factors"_a);
  m.def(
      "patch",
      [](std::shared_ptr<PatchWeights> weights, const Window& window, const Tensor& source,
         std::shared_ptr<Epilogue> epilogue) {
        check_span(window, epilogue->size, source.size);
        return patch(std::move(weights), window, source, std::move(epilogue));
      },
      "weights"_a.none(false), "window"_a, "source"_a, "epilogue"_a.none(false));
  m.def("sparse_or", &sparse_or, "sparse"_a, "dense"_a, "source"_a, "threshold"_a);
  m.def("take_up", &take_up, "terms"_a, "epilogue"_a.none(false));
  m.def(
      "redistribute",
      [](std::shared_ptr<PackedWeights> weights, const Tensor& source, std::shared_ptr<Quotient> quotient,
         const std::vector<std::pair<std::shared_ptr<PackedWeights>, std::shared_ptr<Epilogue>>>& back) {
        std::vector<WayBack> ways;
        for (const auto& [packed, epilogue] : back) {
          if (!packed || !epilogue) throw std::invalid_argument("redistribute: a way back without weights or epilogue");
          ways.push_back({packed, epilogue});
        }
        return redistribute(std::move(weights), source, std::move(quotient), std::move(ways));
      },
      "weights"_a, "source"_a, "quotient"_a.none(false), "back"_a);
}

void bind_elementwise(py::module_& m) {
  m.def("activation_relevance", &activation_relevance, "rule"_a, "function"_a, "x"_a, "slope"_a, "r"_a, "out"_a);
  m.def("part", &part, "positive"_a, "negative"_a, "x"_a, "y"_a);
  m.def("affine", &affine, "x"_a, "scale"_a, "shift"_a, "y"_a);
  m.def("add", &add, "x"_a, "y"_a, "out"_a);
  m.def("sum_channels", &sum_channels, "x"_a, "y"_a);
  py::class_<Sum, Figures, std::shared_ptr<Sum>>(m, "Sum")
      .def(py::init<const Tensor&>(), "x"_a)
      .def("step", &step_of<Sum>);
  py::class_<ShareOut, Figures, std::shared_ptr<ShareOut>>(m, "ShareOut")
      .def(py::init([](const Tensor& r, const Tensor& z, float share, float stabilizer,
                       const std::vector<BranchOf>& branches) {
             std::vector<Branch> to;
             for (const auto& [a, out, accumulate] : branches) to.push_back({a, out, accumulate});
             return std::make_shared<ShareOut>(r, z, share, stabilizer, to);
           }),
           "r"_a, "z"_a, "share"_a, "stabilizer"_a, "branches"_a)
      .def("step", &step_of<ShareOut>);
}

void bind_moves(py::module_& m) {
  m.def("fill", &fill, "target"_a, "value"_a);
  m.def("clear_halo", &clear_halo, "target"_a);
  m.def(
      "gather",
      [](const std::vector<Tensor>& sources, const PlacesArray& places, float otherwise, const Tensor& target) {
        return gather(sources, elements_of(places), otherwise, target);
      },
      "sources"_a, "places"_a, "otherwise"_a, "target"_a);
  m.def(
      "scatter",
      [](const Tensor& source, const PlacesArray& places, std::int64_t first, const Tensor& target) {
        return scatter(source, elements_of(places), first, target);
      },
      "source"_a, "places"_a, "first"_a, "target"_a);
  m.def(
      "blend",
      [](const Tensor& source, const Numbers& ends, const Numbers& pixels, const Floats& weights,
         const Tensor& target) {
        return blend(source, {elements_of(ends), elements_of(pixels), elements_of(weights)}, target);
      },
      "source"_a, "ends"_a, "pixels"_a, "weights"_a, "target"_a);
  m.def(
      "copy_channels",
      [](const Tensor& source, int source_from, const Tensor& target, int target_from, int count) {
        if (count < 1 || source_from < 0 || target_from < 0 || source_from > source.channels - count ||
            target_from > target.channels - count)
          throw std::invalid_argument("copy_channels: channels that are not there");
        if (whole_blocks(source, source_from, count).overlaps(whole_blocks(target, target_from, count)))
          throw std::invalid_argument("copy_channels: source and target are one tensor");
        return copy_channels(source, source_from, target, target_from, count);
      },
      "source"_a, "source_from"_a, "target"_a, "target_from"_a, "count"_a);
}

void bind_pools(py::module_& m) {
  m.def(
      "max_pool",
      [](const Window& window, const Tensor& x, const Tensor& y, const Tensor& winners, float margin) {
        check_window(window, x, y);
        check_window(window, x, winners);
        if (y.overlaps(winners))
          throw std::invalid_argument("max_pool: one tensor cannot hold both values and winners");
        check_meets(window, x, y);
        return max_pool(window, x, y, winners, margin);
      },
      "window"_a, "x"_a, "y"_a, "winners"_a, "margin"_a = 0.0f);
  m.def(
      "max_unpool",
      [](const Window& window, const Tensor& r, const Tensor& winners, const Tensor& out) {
        check_window(window, out, r);
        check_window(window, out, winners);
        return max_unpool(window, r, winners, out);
      },
      "window"_a, "r"_a, "winners"_a, "out"_a);
  m.def(
      "share_pool",
      [](const Window& window, const Tensor& x, const Tensor& r, PoolShare how, float stabilizer, float margin,
         const Tensor& out) {
        check_window(window, out, r);
        check_meets(window, out, r);
        return share_pool(window, x, r, how, stabilizer, margin, out);
      },
      "window"_a, "x"_a, "r"_a, "how"_a, "stabilizer"_a, "margin"_a, "out"_a);
  m.def(
      "sum_pool",
      [](const Window& window, const Tensor& x, const Floats& factors, const Tensor& y) {
        check_window(window, x, y);
        return sum_pool(window, x, factors_of(factors, y), y);
      },
      "window"_a, "x"_a, "factors"_a, "y"_a);
  m.def(
      "sum_unpool",
      [](const Window& window, const Tensor& s, const Floats& factors, const Tensor& out) {
        check_window(window, out, s);
        return sum_unpool(window, s, factors_of(factors, s), out);
      },
      "window"_a, "s"_a, "factors"_a, "out"_a);
}

}  // namespace
}  // namespace lrpfast

PYBIND11_MODULE(_native, m) {
  m.doc() = "Kernels of lrpfast on tensors in blocked layout; the shapes of all operands are checked.";
  m.def("isa", [] { return std::string(lrpfast::kernels().name); });
  m.def("available_isas", &lrpfast::available_isas);
  m.def("openmp_threads", &lrpfast::openmp_threads);
  lrpfast::heed_signals();
  lrpfast::bind_types(m);
  lrpfast::bind_programs(m);
  lrpfast::bind_epilogues(m);
  lrpfast::bind_linear_maps(m);
  lrpfast::bind_elementwise(m);
  lrpfast::bind_moves(m);
  lrpfast::bind_pools(m);
}
