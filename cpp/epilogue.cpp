#include "epilogue.h"

#include <algorithm>
#include <cstdlib>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "dispatch.h"
#include "parts.h"

namespace lrpfast {
namespace {

enum Drawer { kActivated, kUnpooled, kSum = 3, kThreadQuotients = 14 };

In rows(const Tensor& tensor, std::int64_t sample, int block, const Stretch& stretch) {
  return rows_of<In>(tensor, sample, block, stretch.plane, stretch.first_row);
}

Out rows_out(const Tensor& tensor, std::int64_t sample, int block, const Stretch& stretch) {
  return rows_of<Out>(tensor, sample, block, stretch.plane, stretch.first_row);
}

In rows(const std::optional<Tensor>& tensor, std::int64_t sample, int block, const Stretch& stretch) {
  return tensor ? rows(*tensor, sample, block, stretch) : In{nullptr, 0};
}

std::optional<Tensor> borrowed(const std::optional<Tensor>& tensor) {
  if (!tensor) return std::nullopt;
  return tensor->borrowed();
}

void require(bool fits, const char* what) {
  if (!fits) throw std::invalid_argument(std::string("epilogue: ") + what + " does not fit the map");
}

void check_windows(const SidePool& pool, const Size3& size, const Tensor& windows) {
  const Window& w = pool.window;
  require(w.kernel[0] == 1 && w.strides[0] == 1 && w.before == Size3{} && size[0] == windows.size[0], "pool");
  for (int axis = 1; axis < 3; ++axis)
    require(w.kernel[axis] == w.strides[axis] && w.dilations[axis] == 1 &&
                windows.size[axis] == size[axis] / w.strides[axis],
            "pool");
  require(pool.winners.size == windows.size && pool.winners.channels == windows.channels, "winners");
}

// The windows of row `window_row` of a stretch, on rows of `row` floats.
PoolTask windows_of(const SidePool& pool, const Stretch& stretch, const Size3& size, long row, int window_row) {
  PoolTask task{};
  task.input_row = row;
  const Size3 local{1, stretch.rows, size[2]};
  for (int axis = 0; axis < 3; ++axis) {
    task.size[axis] = local[axis];
    task.kernel[axis] = pool.window.kernel[axis];
    task.strides[axis] = pool.window.strides[axis];
    task.dilations[axis] = 1;
  }
  task.origin[1] = window_row * pool.window.strides[1] - stretch.first_row;
  task.windows = size[2] / pool.window.strides[2];
  return task;
}

// Channels of so many maps like this one behind one another, in whole blocks if there are several.
int stacked_channels(const Tensor& map, std::size_t maps) {
  return maps == 1 ? map.channels : static_cast<int>(maps) * map.blocks * kBlock;
}

// Calls f(row of windows) for those that lie in the stretch.
template <class F>
void for_window_rows(const SidePool& pool, const Stretch& stretch, const F& f) {
  const int step = pool.window.strides[1];
  for (int y = stretch.first_row / step; (y + 1) * step <= stretch.first_row + stretch.rows; ++y) f(y);
}

}  // namespace

float* scratch(int drawer, std::size_t floats) {
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  struct Memory {
    std::unique_ptr<float, Free> block;
    std::size_t floats = 0;
  };
  thread_local std::vector<Memory> drawers;
  if (drawers.size() <= static_cast<std::size_t>(drawer)) drawers.resize(drawer + 1);
  Memory& memory = drawers[drawer];
  if (memory.floats < floats) {
    const std::size_t bytes = (floats * sizeof(float) + 4095) / 4096 * 4096;
    memory.floats = 0;
    memory.block.reset(static_cast<float*>(std::aligned_alloc(4096, bytes)));
    if (!memory.block) throw std::bad_alloc();
    memory.floats = bytes / sizeof(float);
  }
  return memory.block.get();
}

Epilogue::Epilogue(int maps_, int channels_, Size3 size_, int row_step_)
    : maps(maps_), channels(channels_), size(size_), row_step(row_step_) {}

In Epilogue::factor_rows(std::int64_t sample, int block, int plane, int first_row) const {
  return rows_of<In>(*factors(), sample / (maps / factors()->samples), block, plane, first_row);
}

Activation::Activation(int maps_, int channels_, Size3 size_, FunctionParameters function, Lanes bias,
                       std::optional<Tensor> slope, std::optional<Tensor> y, std::optional<Pool> pool)
    : Epilogue(maps_, channels_, size_, pool ? pool->side.window.strides[1] : 1),
      function_(function),
      bias_(std::move(bias)),
      slope_(borrowed(slope)),
      y_(borrowed(y)),
      pool_(std::move(pool)) {
  require(y_ || pool_, "nothing");
  require(bias_.empty() || bias_.size() == static_cast<std::size_t>(blocks()) * kBlock, "bias");
  if (slope_) require(slope_->samples == 1 && slope_->channels == channels && slope_->size == size, "slope");
  if (y_) require(y_->samples == maps && y_->channels == channels && y_->size == size, "y");
  if (!pool_) return;
  require(pool_->values.samples == maps && pool_->values.channels == channels, "pool");
  require(pool_->side.winners.samples == maps, "winners");
  require(!pool_->values.overlaps(pool_->side.winners), "one tensor for values and winners");
  check_windows(pool_->side, size, pool_->values);
  pool_ = Pool{{pool_->side.window, pool_->side.winners.borrowed(), pool_->side.margin}, pool_->values.borrowed()};
}

void Activation::take(const Stretch& stretch) {
  const float* bias = bias_.empty() ? nullptr : bias_.data() + static_cast<std::size_t>(stretch.block) * kBlock;
  const Area whole = area(stretch);
  const Out y = y_ ? rows_out(*y_, stretch.sample, stretch.block, stretch)
                   : Out{scratch(kActivated, stretch.rows * whole.floats), whole.floats};
  kernels().activate(function_, bias, {stretch.values, stretch.row}, rows(slope_, 0, stretch.block, stretch), y, whole);
  if (stretch.block == blocks() - 1) clear_unused_lanes(y, whole);
  if (pool_) pool_rows(stretch, {y.at, y.row});
}

// Some functions make something of the zeros behind the last channel, and readers count on zeros there.
void Activation::clear_unused_lanes(Out y, Area rows_of_y) const {
  const int used = channels - (blocks() - 1) * kBlock;
  for (int row = 0; used < kBlock && row < rows_of_y.rows; ++row)
    for (long pixel = 0; pixel < rows_of_y.floats; pixel += kBlock)
      std::fill_n(y.at + row * y.row + pixel + used, kBlock - used, 0.0f);
}

bool Activation::writes_to(const Tensor& tensor) const {
  return (y_ && y_->overlaps(tensor)) ||
         (pool_ && (pool_->values.overlaps(tensor) || pool_->side.winners.overlaps(tensor)));
}

void Activation::pool_rows(const Stretch& stretch, In y) const {
  for_window_rows(pool_->side, stretch, [&](int window_row) {
    PoolTask task = windows_of(pool_->side, stretch, size, y.row, window_row);
    task.input = y.at;
    task.margin = pool_->side.margin;
    task.shown = stretch.values;
    task.shown_row = stretch.row;
    const std::int64_t n = stretch.sample;
    kernels().max_pool(
        task, pool_->values.row(n, stretch.block, stretch.plane, window_row),
        reinterpret_cast<std::int32_t*>(pool_->side.winners.row(n, stretch.block, stretch.plane, window_row)));
  });
}

// Rows that have to come in one stretch: those of a window of the pool, and those of a tile of Winograd's algorithm,
// whose largest value says what is rounding.
static int rows_together(const Quotient::Terms& terms) {
  const int of_pool = terms.pool ? terms.pool->window.strides[1] : 1;
  require(!terms.pool || (terms.s && of_pool <= terms.s->size[1]), "pool");
  return terms.noise > 0 ? std::lcm(of_pool, kTileRows) : of_pool;
}

Quotient::Quotient(int maps_, Terms terms)
    : Epilogue(maps_, terms.shared ? terms.r.channels : stacked_channels(terms.r, terms.groups.size()),
               terms.s ? terms.s->size : terms.r.size, rows_together(terms)),
      terms_(std::move(terms)),
      explanations_(terms_.r.samples / maps_) {
  const Tensor& r = terms_.r;
  require(!terms_.groups.empty(), "r");
  require(r.samples % maps == 0 && (!terms_.s || terms_.s->samples == r.samples), "the number of explanations");
  require(!terms_.s || terms_.s->channels == stacked_channels(r, terms_.groups.size()), "r");
  for (const Lanes* lanes : {&terms_.bias, &terms_.within})
    require(lanes->empty() || lanes->size() == static_cast<std::size_t>(quotient_blocks()) * kBlock, "bias");
  if (terms_.constant)
    require(
        terms_.constant->samples == 1 && terms_.constant->blocks == quotient_blocks() && terms_.constant->size == size,
        "constant");
  for (const Group& group : terms_.groups)
    require((group.gate == Gate::open && group.of_own == 0) || terms_.own, "a group that asks for own values");
  if (terms_.own)
    require(terms_.own->samples == maps && terms_.own->channels == r.channels && terms_.own->size == size, "own");
  if (terms_.pool) {
    check_windows(*terms_.pool, size, r);
    require(r.samples % terms_.pool->winners.samples == 0, "winners");
  } else {
    require(r.size == size, "r");
  }
  rows_.resize(static_cast<std::size_t>(r.samples) * quotient_blocks() * size[0] * size[1]);
  terms_.r = r.borrowed();
  terms_.s = borrowed(terms_.s);
  terms_.constant = borrowed(terms_.constant);
  terms_.own = borrowed(terms_.own);
  if (terms_.pool) terms_.pool->winners = terms_.pool->winners.borrowed();
}

float* Quotient::quotients(int rows) const {
  const std::size_t map = static_cast<std::size_t>(rows) * size[2] * kBlock;
  return scratch(kThreadQuotients, explanations_ * quotient_blocks() * map);
}

void Quotient::take(const Stretch& stretch) {
  if (terms_.shared)
    for (int group = 0; group < static_cast<int>(terms_.groups.size()); ++group) take(stretch, group);
  else
    take(stretch, stretch.block / terms_.r.blocks);
}

void Quotient::take(const Stretch& stretch, int number) {
  const Group& group = terms_.groups[number];
  const int r_block = stretch.block % terms_.r.blocks, block = number * terms_.r.blocks + r_block;
  const auto lanes = [block](const Lanes& all) {
    return all.empty() ? nullptr : all.data() + static_cast<std::size_t>(block) * kBlock;
  };
  const Area whole = area(stretch);
  QuotientTask task{};
  task.values = {stretch.values, stretch.row};
  task.constant = rows(terms_.constant, 0, block, stretch);
  task.own = rows(terms_.own, stretch.sample, r_block, stretch);
  task.bias = lanes(terms_.bias);
  task.within = lanes(terms_.within);
  task.gate = group.gate;
  task.share = group.share;
  task.of_own = group.of_own;
  task.of_values = group.of_values;
  task.stabilizer = terms_.stabilizer;
  task.noise = group.share < 0 ? terms_.noise : 0;
  for (int t = 0; t < explanations_; ++t) {
    const std::int64_t n = stretch.sample * explanations_ + t;
    task.s = terms_.s ? rows_out(*terms_.s, n, block, stretch)
                      : Out{quotients(stretch.rows) + (t * quotient_blocks() + block) * stretch.rows * whole.floats,
                            whole.floats};
    if (terms_.pool) {
      float* unpooled = scratch(kUnpooled, stretch.rows * whole.floats);
      std::fill_n(unpooled, stretch.rows * whole.floats, 0.0f);
      const std::int64_t won = n / (terms_.r.samples / terms_.pool->winners.samples);
      for_window_rows(*terms_.pool, stretch, [&](int window_row) {
        const PoolTask windows = windows_of(*terms_.pool, stretch, size, whole.floats, window_row);
        kernels().max_unpool(
            windows, terms_.r.row(n, r_block, stretch.plane, window_row),
            reinterpret_cast<const std::int32_t*>(terms_.pool->winners.row(won, r_block, stretch.plane, window_row)),
            unpooled);
      });
      task.r = {unpooled, whole.floats};
    } else {
      task.r = rows(terms_.r, n, r_block, stretch);
    }
    const std::size_t map = static_cast<std::size_t>(n) * quotient_blocks() + block;
    QuotientSums* sums = &rows_[(map * size[0] + stretch.plane) * size[1] + stretch.first_row];
    std::fill_n(sums, stretch.rows, QuotientSums{});  // the last run's stretches may have been others
    kernels().quotient(task, *sums, whole);
    if (terms_.s) terms_.s->clear_halo(n, block, stretch.plane, stretch.first_row, stretch.rows);
  }
}

bool Quotient::writes_to(const Tensor& tensor) const { return terms_.s && terms_.s->overlaps(tensor); }

void Quotient::write(double* to, int row) const {
  const int lines = size[0] * size[1];
  const QuotientSums* next = rows_.data();
  for (int n = 0; n < samples(); ++n, to += row) {
    double received = 0, bias = 0, stabilizer = 0, quotients = 0;
    for (int block = 0; block < quotient_blocks(); ++block)
      for (int line = 0; line < lines; ++line, ++next) {
        if (block < terms_.r.blocks) received += next->received;  // r counts once
        bias += next->bias;
        stabilizer += next->stabilizer;
        quotients += next->quotients;
      }
    to[0] = received;
    to[1] = bias;
    to[2] = stabilizer;
    to[3] = quotients;
  }
}

// Channels of the values that a contribution takes up.
static int channels_of(const Tensor& out, std::size_t parts, bool in_planes) {
  return in_planes && parts == 1 ? out.size[0] : stacked_channels(out, parts);
}

static Size3 size_of(const Tensor& out, bool in_planes) {
  return in_planes ? Size3{1, out.size[1], out.size[2] * kBlock} : out.size;
}

Contribution::Contribution(Tensor a, Tensor out, bool accumulate, std::vector<Part> parts, bool in_planes)
    : Epilogue(out.samples, channels_of(out, parts.size(), in_planes), size_of(out, in_planes), 1),
      a_(a.borrowed()),
      out_(out.borrowed()),
      accumulate_(accumulate),
      in_planes_(in_planes),
      parts_(std::move(parts)) {
  require(a_.channels == out_.channels && a_.size == out_.size && maps % a_.samples == 0, "a");
  require(!parts_.empty(), "a number of parts that");
  require(!in_planes || (out_.channels == kBlock && out_.size[0] <= kBlock), "an image in planes that");
  for (Part& part : parts_) {
    if (!part.fixed) continue;
    const Size3 one_row{out_.size[0], 1, out_.size[2]};
    require(part.fixed->samples == 1 && part.fixed->channels == out_.channels &&
                (part.fixed->size == out_.size || part.fixed->size == one_row),
            "fixed");
    part.fixed = part.fixed->borrowed();
  }
  rows_.resize(static_cast<std::size_t>(maps) * out_.blocks * out_.size[0] * out_.size[1]);
}

In Contribution::fixed_rows(const Part& part, int block, const Stretch& stretch) const {
  if (!part.fixed || part.fixed->size == out_.size) return rows(part.fixed, 0, block, stretch);
  return {part.fixed->row(0, block, stretch.plane, 0), 0};
}

void Contribution::take(const Stretch& stretch) {
  const std::int64_t n = stretch.sample;
  const int block = stretch.block % out_.blocks;
  const bool first = stretch.block == block;
  const Part& part = parts_[stretch.block / out_.blocks];
  const bool constant = part.positive == 0 && part.negative == 0;
  const ContributionTask task{part.positive,
                              part.negative,
                              constant ? In{nullptr, 0} : rows(a_, n / (maps / a_.samples), block, stretch),
                              fixed_rows(part, block, stretch),
                              {stretch.values, stretch.row},
                              accumulate_ || !first,
                              rows_out(out_, n, block, stretch)};
  const std::size_t map = static_cast<std::size_t>(n) * out_.blocks + block;
  float* sums = &rows_[(map * out_.size[0] + stretch.plane) * out_.size[1] + stretch.first_row];
  if (first) std::fill_n(sums, stretch.rows, 0.0f);  // the last run's stretches may have been others
  *sums += kernels().contribute(task, {stretch.rows, static_cast<long>(out_.size[2]) * kBlock});
}

bool Contribution::writes_to(const Tensor& tensor) const { return out_.overlaps(tensor); }

void Contribution::write(double* to, int row) const { add_up(rows_, maps, 1, to, row); }

void check_maps(const char* step, int source_channels, int target_channels, const Tensor& source,
                const Epilogue& epilogue, int blocks_together, bool in_planes) {
  const std::string name = step;
  if (source.samples != epilogue.maps)
    throw std::invalid_argument(name + ": " + std::to_string(source.samples) + " samples, but " +
                                std::to_string(epilogue.maps) + " are wanted");
  if (source.channels != source_channels || epilogue.channels != target_channels)
    throw std::invalid_argument(name + ": weights from " + std::to_string(source_channels) + " to " +
                                std::to_string(target_channels) + " channels, but maps with " +
                                std::to_string(source.channels) + " and " + std::to_string(epilogue.channels));
  if (epilogue.writes_to(source)) throw std::invalid_argument(name + ": one tensor cannot be both source and target");
  if (epilogue.blocks_together() > blocks_together)
    throw std::invalid_argument(name + ": stacked parts need weights for a few channels, whose blocks come together");
  if (epilogue.planes() > 0 && !in_planes)
    throw std::invalid_argument(name + ": an image in planes needs weights for a few channels");
}

Step take_up(const std::vector<Tensor>& terms_, std::shared_ptr<Epilogue> epilogue_) {
  require(!terms_.empty(), "a sum of nothing");
  require(epilogue_->blocks_together() == 1, "a stack of parts, whose blocks would come in any order,");
  require(epilogue_->planes() == 0, "an image in planes");
  std::vector<Tensor> terms;
  for (const Tensor& term : terms_) {
    require(term.samples == epilogue_->maps && term.channels == epilogue_->channels && term.size == epilogue_->size,
            "a tensor");
    terms.push_back(term.borrowed());
  }
  return Step([terms = std::move(terms), epilogue = std::move(epilogue_)](int threads) {
    const int operands = 1 + static_cast<int>(terms.size());
    for_parts(terms[0], epilogue->row_step, operands, threads, [&](const Part& part, long) {
      const auto of_part = [&](const Tensor& term) {
        return rows_of<In>(term, part.sample, part.block, part.plane, part.first);
      };
      In sum = of_part(terms[0]);
      for (std::size_t i = 1; i < terms.size(); ++i) {
        const Out total{scratch(kSum, part.area.rows * part.area.floats), part.area.floats};
        kernels().add(sum, of_part(terms[i]), total, part.area);
        sum = {total.at, total.row};
      }
      epilogue->take(
          {part.sample, static_cast<int>(part.block), part.plane, part.first, part.area.rows, sum.at, sum.row});
    });
  });
}

}  // namespace lrpfast
