#include "program.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "parallel.h"

namespace lrpfast {

int Program::enter(std::shared_ptr<Figures> figures) {
  if (!entered_.empty() && figures->samples() != samples())
    throw std::invalid_argument("program: figures of another number of samples");
  const int first = columns_;
  columns_ += figures->columns();
  entered_.push_back({std::move(figures), first});
  return first;
}

void Program::run(int threads, const std::atomic<bool>& stop) const {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (stop) return;
    steps_[i].run(threads, weights_behind(i));
  }
}

// Between layers lie steps without weights, such as those that clear a halo. No more is fetched than the second level
// caches keep until it is read.
Ahead Program::weights_behind(std::size_t step) const {
  constexpr std::size_t kSoon = 4;
  constexpr long kFloats = 256 * 1024;
  for (std::size_t i = step + 1; i < std::min(steps_.size(), step + 1 + kSoon); ++i) {
    const Ahead weights = steps_[i].weights();
    if (weights.at != nullptr) return {weights.at, std::min(weights.floats, kFloats)};
  }
  return {nullptr, 0};
}

std::vector<double> Program::timed_run(int threads) const {
  std::vector<double> seconds;
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    steps_[i].run(threads, weights_behind(i));
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return seconds;
}

// Sums of rows come from memory, some thousand of a step.
void Program::write(double* to, int threads) const {
  constexpr double kOfStep = 4096;
  parallel_for(threads, static_cast<long>(entered_.size()), kOfStep * static_cast<double>(entered_.size()),
               [&](long i) { entered_[i].figures->write(to + entered_[i].column, columns_); });
}

void run_side_by_side(const std::vector<const Program*>& programs, int threads) {
  const int lanes = static_cast<int>(programs.size());
  if (lanes == 0) return;
  if (std::count(programs.begin(), programs.end(), nullptr)) throw std::invalid_argument("programs: one is None");
  const int each = std::max(1, threads / lanes);
  std::atomic<bool> stop{false};
  parallel_for(std::min(threads, lanes), lanes, lanes * kWorkPerThread, [&](long lane) {
    try {
      programs[lane]->run(each, stop);
    } catch (...) {
      stop = true;
      throw;
    }
  });
}

}  // namespace lrpfast
