// Threads that help whoever has work to share, one set for the whole process.
#pragma once

namespace lrpfast {

// Work that several threads can do at once.
class Shared {
 public:
  // What a helper calls: does work until none is left. Comes from any number of threads at the same time.
  virtual void help() noexcept = 0;

 protected:
  ~Shared() = default;
};

// Helpers at some work while it lives. Whoever has made it works too, and needs none of them: one that comes late finds
// nothing to do, and is not waited for.
class Helpers {
 public:
  // As many as are wanted, or fewer if they help others or the system gives no more threads.
  Helpers(int wanted, Shared& work);
  // Waits for those that have begun.
  ~Helpers();
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

 private:
  Shared& work_;
};

// What OpenMP would take: OMP_NUM_THREADS, what was set at run time (omp_set_num_threads, threadpoolctl), or all cores.
int openmp_threads();

// Called by a thread that has work, every now and then; may throw, which ends the work. Null: nothing is called.
extern void (*heed_interrupts)();

}  // namespace lrpfast
