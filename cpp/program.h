// Work that is described once and run any number of times.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/kernels.h"

namespace lrpfast {

// One loop over tensors. Shapes are checked when it is made. It keeps the pools of its tensors alive, but not what the
// tensors hold: whoever runs it later has to leave them their memory.
class Step {
 public:
  explicit Step(const std::function<void(int threads)>& work)
      : work_([work](int threads, const Ahead&) { work(threads); }) {}
  // Fetches `upcoming` meanwhile if it computes enough to have the time: weights that come from far, as all weights of
  // a network do not fit into any cache.
  void run(int threads, const Ahead& upcoming = {nullptr, 0}) const { work_(threads, upcoming); }
  // The weights that it reads; null if there are few or none.
  Ahead weights() const { return weights_ ? weights_() : Ahead{nullptr, 0}; }

 protected:
  using Weights = std::function<Ahead()>;
  Step(std::function<void(int threads, const Ahead& upcoming)> work, Weights weights)
      : work_(std::move(work)), weights_(std::move(weights)) {}

 private:
  std::function<void(int, const Ahead&)> work_;
  Weights weights_;
};

// A step that can also be run for some consecutive samples of its batch, each of which gets the same either way.
class BatchStep : public Step {
 public:
  using Work = std::function<void(int threads, int first, int count, const Ahead& upcoming)>;
  BatchStep(int samples, const Work& work, Weights weights = nullptr)
      : Step([samples, work](int threads, const Ahead& upcoming) { work(threads, 0, samples, upcoming); },
             std::move(weights)),
        samples_(samples),
        work_(work) {}
  int samples() const { return samples_; }
  void run_some(int threads, int first, int count, const Ahead& upcoming) const {
    work_(threads, first, count, upcoming);
  }

 private:
  int samples_;
  Work work_;
};

// A task's share of what is to be fetched: whole lines of the cache.
inline Ahead share_of(const Ahead& all, long task, long tasks) {
  const long lines = all.floats / kBlock, begin = lines * task / tasks, end = lines * (task + 1) / tasks;
  return {all.at == nullptr ? nullptr : all.at + begin * kBlock, (end - begin) * kBlock};
}

// Sums that a step leaves behind when it has run: some for each of a number of samples.
class Figures {
 public:
  virtual ~Figures() = default;
  virtual int samples() const = 0;
  virtual int columns() const = 0;
  // Writes the columns of sample n to `to` + n * `row`.
  virtual void write(double* to, int row) const = 0;
};

// Steps in their order, and the figures that are wanted of them.
class Program {
 public:
  void add(Step step) { steps_.push_back(std::move(step)); }
  // Returns the first column of the figures in `write`.
  int enter(std::shared_ptr<Figures> figures);
  void run(int threads) const { run(threads, std::atomic<bool>{false}); }
  // Begins no further step once it is told to stop.
  void run(int threads, const std::atomic<bool>& stop) const;
  // Seconds that each step takes.
  std::vector<double> timed_run(int threads) const;

  int samples() const { return entered_.empty() ? 0 : entered_[0].figures->samples(); }
  int columns() const { return columns_; }
  int size() const { return static_cast<int>(steps_.size()); }
  void write(double* to, int threads) const;

 private:
  // What is worth fetching while a step runs.
  Ahead weights_behind(std::size_t step) const;
  std::vector<Step> steps_;
  struct Entered {
    std::shared_ptr<Figures> figures;
    int column;  // the first of them
  };
  std::vector<Entered> entered_;
  int columns_ = 0;
};

// Runs programs that share no memory that they write, each on its part of the threads: nobody waits for others from
// step to step. What one throws ends all of them, and arrives here.
void run_side_by_side(const std::vector<const Program*>& programs, int threads);

}  // namespace lrpfast
