#include "threads.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <system_error>
#include <thread>

#include "parallel.h"

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <signal.h>
#define LRPFAST_POSIX 1
#endif

namespace lrpfast {

void (*heed_interrupts)() = nullptr;

int openmp_threads() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  const char* wanted = std::getenv("OMP_NUM_THREADS");
  const int number = wanted ? std::atoi(wanted) : 0;
  return std::max(1, number > 0 ? number : static_cast<int>(std::thread::hardware_concurrency()));
#endif
}

namespace {

// How long a thread waits awake: at first on its core, which answers within a fraction of a microsecond, then letting
// others go first, which costs nothing where there are none and little where the machine is overloaded. Regions follow
// one another within microseconds, calls from Python within a few milliseconds. A helper that is not done soon after
// the others has lost its core to somebody else: the one that waits for it naps, and leaves it another.
constexpr int kSpins = 2000;
constexpr std::chrono::microseconds kAwake{5000}, kAwakeForLast{200}, kNap{50};

void pause() {
#if defined(__SSE__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Whether it came true while the thread was awake.
template <class Condition>
bool awaited(const Condition& condition, std::chrono::microseconds awake) {
  for (int i = 0; i < kSpins; ++i) {
    if (condition()) return true;
    pause();
  }
  const auto end = std::chrono::steady_clock::now() + awake;
  do {
    if (condition()) return true;
    std::this_thread::yield();
  } while (std::chrono::steady_clock::now() < end);
  return condition();
}

class alignas(64) Helper {
 public:
  // Starts with the work if it is not null. Throws std::system_error if the system gives no thread.
  explicit Helper(Shared* work) : duty_(number(work)) { start(); }

  Helper* next = nullptr;

  // Whether it was free, and now has the work.
  bool take_on(Shared& work) {
    std::uintptr_t expected = kFree;
    if (duty_.load(std::memory_order_relaxed) != kFree || !duty_.compare_exchange_strong(expected, number(&work)))
      return false;
    if (asleep_) {
      std::unique_lock<std::mutex> lock(mutex_);  // it holds this from its last look at its duty until it sleeps
      lock.unlock();
      wake_.notify_one();
    }
    return true;
  }

  // Takes the work back if it has not begun, else waits until it is done.
  void release(Shared& work) {
    std::uintptr_t expected = number(&work);
    if (duty_.load(std::memory_order_acquire) == expected && duty_.compare_exchange_strong(expected, kFree)) return;
    const auto done = [&] { return duty_.load(std::memory_order_acquire) != (number(&work) | kBegun); };
    for (bool over = awaited(done, kAwakeForLast); !over; over = done()) std::this_thread::sleep_for(kNap);
  }

 private:
  // A duty is work, by its address, and whether it has begun.
  static constexpr std::uintptr_t kFree = 0, kBegun = 1;
  static_assert(alignof(Shared) > kBegun);
  static std::uintptr_t number(Shared* work) { return reinterpret_cast<std::uintptr_t>(work); }

  // Signals are for the threads of the program.
  void start() {
#if defined(LRPFAST_POSIX)
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    struct Restore {
      const sigset_t& mask;
      ~Restore() { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
    } const restore{before};
#endif
    std::thread([this] { live(); }).detach();
  }

  [[noreturn]] void live() {
    const FlushToZero mode;
    const auto called = [this] { return duty_.load() != kFree; };
    for (;;) {
      if (!awaited(called, kAwake)) {
        std::unique_lock<std::mutex> lock(mutex_);
        asleep_ = true;
        // A wait without end would ask for a newer standard library than RHEL 9 has.
        while (!called()) wake_.wait_for(lock, std::chrono::hours(1));
        asleep_ = false;
      }
      std::uintptr_t duty = duty_.load();
      // It may have been taken back in the meantime.
      if (duty == kFree || !duty_.compare_exchange_strong(duty, duty | kBegun)) continue;
      reinterpret_cast<Shared*>(duty)->help();
      duty_.store(kFree, std::memory_order_release);  // from here on the work may be gone
    }
  }

  std::atomic<std::uintptr_t> duty_;
  std::atomic<bool> asleep_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
};

// All there are. Helpers live as long as the process, so anyone may walk along the list at any time.
std::atomic<Helper*> first{nullptr};
std::atomic<int> number_of_helpers{0};

#if defined(LRPFAST_POSIX)
// A forked process has the thread that forked and no other: helpers have to be made anew. What is left of the old ones
// is not looked at again, since their locks may be held by threads that are not there.
const int at_fork = pthread_atfork(nullptr, nullptr, [] {
  first.store(nullptr);
  number_of_helpers.store(0);
});
#endif

// Whether there was room for one more.
bool add_helper(int most, Shared& work) {
  if (number_of_helpers.fetch_add(1) < most) {
    try {
      auto* helper = new Helper(&work);
      helper->next = first.load();
      while (!first.compare_exchange_weak(helper->next, helper)) {
      }
      return true;
    } catch (const std::exception&) {  // no thread or no memory: the work is done with fewer
    }
  }
  number_of_helpers.fetch_sub(1);
  return false;
}

}  // namespace

Helpers::Helpers(int wanted, Shared& work) : work_(work) {
  int found = 0;
  for (Helper* helper = first.load(); helper && found < wanted; helper = helper->next) found += helper->take_on(work);
  if (found == wanted) return;
  // Some help others. More are made up to what one has asked for, or what keeps all cores busy.
  static const int others = static_cast<int>(std::thread::hardware_concurrency()) - 1;
  while (found < wanted && add_helper(std::max(wanted, others), work)) ++found;
}

Helpers::~Helpers() {
  for (Helper* helper = first.load(); helper; helper = helper->next) helper->release(work_);
}

}  // namespace lrpfast
