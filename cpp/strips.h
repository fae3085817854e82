// The rows of a map in strips of nearly equal size.
#pragma once

#include <cstdint>

namespace lrpfast {

// Strips begin at multiples of `step` rows; none is empty if there are no more of them than such steps.
struct Strips {
  int height, step, count;

  int first(int strip) const {
    const std::int64_t steps = (height + step - 1) / step;
    return strip == count ? height : static_cast<int>(steps * strip / count) * step;
  }
  int rows(int strip) const { return first(strip + 1) - first(strip); }
};

}  // namespace lrpfast
