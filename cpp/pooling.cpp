#include "pooling.h"

#include <algorithm>
#include <stdexcept>

#include "dispatch.h"
#include "parallel.h"

namespace lrpfast {
namespace {

void check(const Tensor& map, const Tensor& windows) {
  if (map.channels != windows.channels || map.samples != windows.samples)
    throw std::invalid_argument("pool between maps that do not fit each other");
}

PoolTask task_for(const Window& window, const Tensor& map, const Tensor& windows, int plane, int row) {
  PoolTask task{};
  task.input_plane = static_cast<long>(map.plane_stride);
  task.input_row = static_cast<long>(map.row_stride);
  for (int axis = 0; axis < 3; ++axis) {
    task.size[axis] = map.size[axis];
    task.kernel[axis] = window.kernel[axis];
    task.strides[axis] = window.strides[axis];
    task.dilations[axis] = window.dilations[axis];
  }
  task.origin[0] = plane * window.strides[0] - window.before[0];
  task.origin[1] = row * window.strides[1] - window.before[1];
  task.origin[2] = -window.before[2];
  task.windows = windows.size[2];
  return task;
}

void leave(const Tensor&, std::int64_t, std::int64_t) {}

// Just before something is added to the map, so that it is in the cache.
void clear(const Tensor& map, std::int64_t sample, std::int64_t block) { map.fill_map(sample, block, 0); }

// Calls begin(map, sample, block) for every map, and f(task, sample, block, plane, row) for every row of its windows;
// windows of one map stay on one thread, because overlapping ones add to the same elements.
template <class Begin, class F>
void for_window_rows(const Window& window, const Tensor& map, const Tensor& windows, int threads, const Begin& begin,
                     const F& f) {
  const double taps = static_cast<double>(window.kernel[0]) * window.kernel[1] * window.kernel[2];
  parallel_for(threads, static_cast<long>(map.samples) * map.blocks, kPassing / 2 * windows.vectors() * taps,
               [&](long index) {
                 const std::int64_t sample = index / map.blocks, block = index % map.blocks;
                 begin(map, sample, block);
                 for (int d = 0; d < windows.size[0]; ++d)
                   for (int h = 0; h < windows.size[1]; ++h) {
                     PoolTask task = task_for(window, map, windows, d, h);
                     task.input = map.at(sample, block);
                     f(task, sample, block, d, h);
                   }
               });
}

std::int64_t first_window(const Tensor& windows, int plane, int row) {
  return (static_cast<std::int64_t>(plane) * windows.size[1] + row) * windows.size[2];
}

}  // namespace

Step max_pool(const Window& window, const Tensor& x, const Tensor& y, const Tensor& winners, float margin) {
  check(x, y);
  check(x, winners);
  if (y.size != winners.size) throw std::invalid_argument("max_pool: winners of another size than values");
  return Step([window, x = x.borrowed(), y = y.borrowed(), winners = winners.borrowed(), margin](int threads) {
    for_window_rows(window, x, y, threads, leave, [&](PoolTask task, auto sample, auto block, int d, int h) {
      task.margin = margin;
      task.shown = task.input;
      task.shown_row = task.input_row;
      kernels().max_pool(task, y.row(sample, block, d, h),
                         reinterpret_cast<std::int32_t*>(winners.row(sample, block, d, h)));
    });
  });
}

Step max_unpool(const Window& window, const Tensor& r, const Tensor& winners, const Tensor& out) {
  check(out, r);
  if (r.size != winners.size || r.channels != winners.channels || r.samples % winners.samples != 0)
    throw std::invalid_argument("max_unpool: winners do not fit the relevance");
  return Step([window, r = r.borrowed(), winners = winners.borrowed(), out = out.borrowed()](int threads) {
    const int explanations = r.samples / winners.samples;
    for_window_rows(window, out, r, threads, clear, [&](const PoolTask& task, auto sample, auto block, int d, int h) {
      const float* won = winners.row(sample / explanations, block, d, h);
      kernels().max_unpool(task, r.row(sample, block, d, h), reinterpret_cast<const std::int32_t*>(won),
                           out.at(sample, block));
    });
  });
}

Step share_pool(const Window& window, const Tensor& x, const Tensor& r, PoolShare how, float stabilizer, float margin,
                const Tensor& out) {
  check(out, r);
  const bool alike = out.size == x.size && out.plane_stride == x.plane_stride && out.row_stride == x.row_stride;
  if (!alike || out.channels != x.channels || out.samples % x.samples != 0)
    throw std::invalid_argument("share_pool: values do not fit the relevance");
  if (x.overlaps(out)) throw std::invalid_argument("share_pool: one tensor cannot be both values and relevance");
  return Step([=, x = x.borrowed(), r = r.borrowed(), out = out.borrowed()](int threads) {
    const int explanations = out.samples / x.samples;
    for_window_rows(window, out, r, threads, clear, [&](PoolTask task, auto sample, auto block, int d, int h) {
      task.input = x.at(sample / explanations, block);
      task.margin = margin;
      task.shown = task.input;
      task.shown_row = task.input_row;
      kernels().share_pool(task, how, stabilizer, r.row(sample, block, d, h), out.at(sample, block));
    });
  });
}

Step sum_pool(const Window& window, const Tensor& x, const std::vector<float>& factors, const Tensor& y) {
  check(x, y);
  return Step([window, x = x.borrowed(), factors, y = y.borrowed()](int threads) {
    for_window_rows(window, x, y, threads, leave, [&](const PoolTask& task, auto sample, auto block, int d, int h) {
      kernels().sum_pool(task, factors.data() + first_window(y, d, h), y.row(sample, block, d, h));
    });
  });
}

Step sum_unpool(const Window& window, const Tensor& s, const std::vector<float>& factors, const Tensor& out) {
  check(out, s);
  return Step([window, s = s.borrowed(), factors, out = out.borrowed()](int threads) {
    for_window_rows(window, out, s, threads, clear, [&](const PoolTask& task, auto sample, auto block, int d, int h) {
      kernels().sum_unpool(task, factors.data() + first_window(s, d, h), s.row(sample, block, d, h),
                           out.at(sample, block));
    });
  });
}

}  // namespace lrpfast
