#include "places.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "parallel.h"

namespace lrpfast {

namespace {

// An element of one of several tensors, by its distance from the beginning of a sample.
struct Origin {
  std::uint32_t tensor, offset;
};

// For every lane of a target in the order of its memory (block, plane, row, column, lane): origins[ends[i - 1]] to
// origins[ends[i]] are what is summed there. What stands behind the last channel has none.
struct Sums {
  std::vector<std::uint32_t> ends;
  std::vector<Origin> origins;
  std::vector<bool> filled;  // lanes that get a number instead; empty if none do
};

std::int64_t elements(const Tensor& t) { return t.channels * t.pixels(); }

Origin origin(const Tensor& t, std::size_t tensor, std::int64_t element) {
  const std::int64_t pixel = element % t.pixels(), channel = element / t.pixels();
  const std::int64_t column = pixel % t.size[2], line = pixel / t.size[2];
  const float* at = t.row(0, channel / kBlock, line / t.size[1], line % t.size[1]) + column * kBlock + channel % kBlock;
  return {static_cast<std::uint32_t>(tensor), static_cast<std::uint32_t>(at - t.at(0, 0))};
}

// Calls visit(element) for every lane of a target in the order of its memory; -1 behind the last channel.
template <class Visit>
void for_each_lane(const Tensor& target, const Visit& visit) {
  for (std::int64_t block = 0; block < target.blocks; ++block)
    for (std::int64_t pixel = 0; pixel < target.pixels(); ++pixel)
      for (std::int64_t channel = block * kBlock; channel < (block + 1) * kBlock; ++channel)
        visit(channel < target.channels ? channel * target.pixels() + pixel : -1);
}

void require_addressable(const Tensor& t) {
  if (t.sample_stride > std::numeric_limits<std::uint32_t>::max())
    throw std::invalid_argument("places: a sample of 2^32 elements or more");
}

template <class Numbers>
void require_places(const Numbers& places, std::int64_t count) {
  if (static_cast<std::int64_t>(places.size()) != count)
    throw std::invalid_argument("places for " + std::to_string(places.size()) + " elements, not for " +
                                std::to_string(count));
}

// A task is a row of the target.
Step summed(const std::vector<Tensor>& sources_, Sums sums_, float otherwise, const Tensor& target) {
  std::vector<Tensor> sources;
  for (const Tensor& source : sources_) {
    if (source.samples != target.samples) throw std::invalid_argument("places: other numbers of samples");
    if (source.overlaps(target)) throw std::invalid_argument("places: one tensor cannot be both source and target");
    sources.push_back(source.borrowed());
  }
  const auto sums = std::make_shared<const Sums>(std::move(sums_));
  return Step([sources, sums, otherwise, target = target.borrowed()](int threads) {
    const std::int64_t rows = static_cast<std::int64_t>(target.size[0]) * target.size[1];
    const std::int64_t lanes = static_cast<std::int64_t>(target.size[2]) * kBlock;
    const double work = static_cast<double>(sums->origins.size() + sums->ends.size() / kBlock) * target.samples / 4;
    parallel_for(threads, target.samples * target.blocks * rows, work, [&](long task) {
      const std::int64_t row = task % rows, block = task / rows % target.blocks, n = task / rows / target.blocks;
      float* to = target.row(n, block, row / target.size[1], row % target.size[1]);
      const std::int64_t begin = (block * rows + row) * lanes;
      std::uint32_t next = begin == 0 ? 0 : sums->ends[begin - 1];
      for (std::int64_t i = begin; i < begin + lanes; ++i) {
        float total = sums->filled.empty() || !sums->filled[i] ? 0.0f : otherwise;
        for (; next < sums->ends[i]; ++next) {
          const Origin from = sums->origins[next];
          total += sources[from.tensor].at(n, 0)[from.offset];
        }
        to[i - begin] = total;
      }
    });
  });
}

}  // namespace

Step gather(const std::vector<Tensor>& sources, const Places& places, float otherwise, const Tensor& target) {
  require_places(places, elements(target));
  require_addressable(target);
  Places starts{0};
  for (const Tensor& source : sources) {
    require_addressable(source);
    starts.push_back(starts.back() + elements(source));
  }
  Sums sums;
  for_each_lane(target, [&](std::int64_t element) {
    const std::int64_t place = element < 0 ? -1 : places[element];
    if (place >= starts.back()) throw std::invalid_argument("places: one that is not there");
    sums.filled.push_back(element >= 0 && place < 0 && otherwise != 0.0f);
    if (place >= 0) {
      std::size_t tensor = 0;
      while (place >= starts[tensor + 1]) ++tensor;
      sums.origins.push_back(origin(sources[tensor], tensor, place - starts[tensor]));
    }
    sums.ends.push_back(static_cast<std::uint32_t>(sums.origins.size()));
  });
  if (otherwise == 0.0f) sums.filled.clear();
  return summed(sources, std::move(sums), otherwise, target);
}

Step scatter(const Tensor& source, const Places& places, std::int64_t first, const Tensor& target) {
  require_places(places, elements(source));
  require_addressable(source);
  require_addressable(target);
  if (first < 0 || first > std::numeric_limits<std::int64_t>::max() / 2)
    throw std::invalid_argument("scatter: a first place that is not there");
  const std::int64_t count = elements(target);
  Places ends(count, 0), taken(places.size());  // the elements of the source by the place that each came from
  const auto is_here = [&](std::int64_t place) { return place >= first && place < first + count; };
  for (const std::int64_t place : places)
    if (is_here(place)) ++ends[place - first];
  std::int64_t total = 0;
  for (std::int64_t& end : ends) total += std::exchange(end, total);
  for (std::size_t i = 0; i < places.size(); ++i)
    if (is_here(places[i])) taken[ends[places[i] - first]++] = static_cast<std::int64_t>(i);
  Sums sums;
  for_each_lane(target, [&](std::int64_t element) {
    if (element >= 0)
      for (std::int64_t i = element == 0 ? 0 : ends[element - 1]; i < ends[element]; ++i)
        sums.origins.push_back(origin(source, 0, taken[i]));
    sums.ends.push_back(static_cast<std::uint32_t>(sums.origins.size()));
  });
  return summed({source}, std::move(sums), 0.0f, target);
}

// A task is a row of the target in one block of channels.
Step blend(const Tensor& source, const Entries& entries, const Tensor& target) {
  if (source.samples != target.samples || source.channels != target.channels)
    throw std::invalid_argument("blend: source and target of other samples or channels");
  if (source.overlaps(target)) throw std::invalid_argument("blend: one tensor cannot be both source and target");
  require_places(entries.ends, target.pixels());
  const auto count = static_cast<std::int32_t>(entries.pixels.size());
  if (entries.weights.size() != entries.pixels.size() || entries.ends.back() != count ||
      !std::is_sorted(entries.ends.begin(), entries.ends.end()) || entries.ends.front() < 0)
    throw std::invalid_argument("blend: entries that do not belong together");
  require_addressable(source);
  std::vector<std::uint32_t> offsets;
  for (const std::int32_t pixel : entries.pixels) {
    if (pixel < 0 || pixel >= source.pixels()) throw std::invalid_argument("blend: a pixel that is not there");
    offsets.push_back(origin(source, 0, pixel).offset);
  }
  const double work = kPassing * target.vectors() + static_cast<double>(count) * target.samples * target.blocks;
  return Step([entries, offsets, work, source = source.borrowed(), target = target.borrowed()](int threads) {
    const std::int64_t rows = static_cast<std::int64_t>(target.size[0]) * target.size[1];
    parallel_for(threads, target.samples * target.blocks * rows, work, [&](long task) {
      const std::int64_t row = task % rows, block = task / rows % target.blocks, n = task / rows / target.blocks;
      const float* from = source.at(n, block);
      float* to = target.row(n, block, row / target.size[1], row % target.size[1]);
      const std::int64_t first = row * target.size[2];
      std::int32_t entry = first == 0 ? 0 : entries.ends[first - 1];
      for (std::int64_t pixel = first; pixel < first + target.size[2]; ++pixel, to += kBlock) {
        float total[kBlock] = {};
        for (; entry < entries.ends[pixel]; ++entry)
          for (int c = 0; c < kBlock; ++c) total[c] += entries.weights[entry] * from[offsets[entry] + c];
        std::copy_n(total, kBlock, to);
      }
    });
  });
}

}  // namespace lrpfast
