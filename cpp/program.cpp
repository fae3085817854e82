#include "program.h"

#include <chrono>
#include <stdexcept>

namespace lrpfast {

int Program::enter(std::shared_ptr<Figures> figures) {
  if (!entered_.empty() && figures->samples() != samples())
    throw std::invalid_argument("program: figures of another number of samples");
  const int first = columns_;
  columns_ += figures->columns();
  entered_.push_back(std::move(figures));
  return first;
}

std::vector<double> Program::timed_run(int threads) const {
  std::vector<double> seconds;
  for (const Step& step : steps_) {
    const auto start = std::chrono::steady_clock::now();
    step.run(threads);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return seconds;
}

void Program::write(double* to) const {
  for (const auto& figures : entered_) {
    figures->write(to, columns_);
    to += figures->columns();
  }
}

}  // namespace lrpfast
