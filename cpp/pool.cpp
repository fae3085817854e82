#include "pool.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "kernels/kernels.h"

namespace lrpfast {
namespace {

// Pages of the system, huge ones where it has them. What is not touched takes no memory.
class Pages {
 public:
  explicit Pages(std::size_t bytes)
      : bytes_(bytes + kHuge),
        start_(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (start_ == MAP_FAILED) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    madvise(start_, bytes_, MADV_HUGEPAGE);
#endif
  }
  ~Pages() { munmap(start_, bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  // The first huge page.
  char* begin() const {
    const auto address = reinterpret_cast<std::uintptr_t>(start_);
    return static_cast<char*>(start_) + (kHuge - address % kHuge) % kHuge;
  }

 private:
  static constexpr std::size_t kHuge = std::size_t{2} << 20;
  std::size_t bytes_;
  void* start_;
};

// Memory from the system: from the heap, or cut off pieces of pages, one block behind the other.
//
// An explanation streams weights and values of several times the size of the caches. In huge pages the processor finds
// them without walking through tables, which takes 1 to 5 % off, most where neighbours use the memory too. Large blocks
// gain nothing, and come from the heap, which has room that whoever prepared the weights has left.
class Source {
 public:
  explicit Source(bool huge_pages) : large_(huge_pages && !kWatched ? std::size_t{8} << 20 : 0) {}

  float* take(std::size_t bytes) {
    float* block = bytes >= large_ || total_ + bytes < kFew ? of_heap(bytes) : of_piece(bytes);
    total_ += bytes;
    return block;
  }
  std::size_t total() const { return total_; }

 private:
#if defined(__SANITIZE_ADDRESS__)
  static constexpr bool kWatched = true;  // the edges of every block
#else
  static constexpr bool kWatched = false;
#endif
  static constexpr std::size_t kFew = std::size_t{1} << 20, kPiece = std::size_t{32} << 20;
  struct Free {
    void operator()(float* block) const { std::free(block); }
  };

  float* of_heap(std::size_t bytes) {
    std::unique_ptr<float, Free> block(static_cast<float*>(std::aligned_alloc(64, bytes)));
    if (block == nullptr) throw std::bad_alloc();
    blocks_.push_back(std::move(block));
    return blocks_.back().get();
  }
  float* of_piece(std::size_t bytes) {
    if (bytes > left_) {
      pieces_.push_back(std::make_unique<Pages>(kPiece));
      at_ = pieces_.back()->begin();
      left_ = kPiece;
    }
    left_ -= bytes;
    return reinterpret_cast<float*>(std::exchange(at_, at_ + bytes));
  }

  const std::size_t large_;
  std::vector<std::unique_ptr<float, Free>> blocks_;
  std::vector<std::unique_ptr<Pages>> pieces_;
  char* at_ = nullptr;
  std::size_t left_ = 0, total_ = 0;
};

}  // namespace

struct Pool::Shelf {
  explicit Shelf(bool huge_pages) : source(huge_pages) {}

  struct Block {
    std::size_t floats;
    float* start;
  };
  std::mutex mutex;
  std::vector<Block> free;  // the last came back last
  std::size_t blocks = 0;
  Source source;

  // What came back last is most likely in the cache still, if it is not much too large; else the smallest that will do.
  Block take(std::size_t wanted) {
    std::size_t best = free.size();
    for (std::size_t i = free.size(); i > 0; --i) {
      const std::size_t floats_there = free[i - 1].floats;
      if (floats_there < wanted || (best < free.size() && floats_there >= free[best].floats)) continue;
      best = i - 1;
      if (floats_there <= wanted + wanted / 2) break;
    }
    if (best == free.size()) {
      free.reserve(++blocks);  // so that no block fails to come back
      return {wanted, source.take(wanted * sizeof(float))};
    }
    const Block taken = free[best];
    free.erase(free.begin() + static_cast<std::ptrdiff_t>(best));
    return taken;
  }
};

Pool::Pool(bool huge_pages) : shelf_(std::make_shared<Shelf>(huge_pages)) {}

std::size_t Pool::bytes() const {
  const std::lock_guard<std::mutex> lock(shelf_->mutex);
  return shelf_->source.total();
}

Pool::Memory Pool::take(std::size_t floats) {
  const std::lock_guard<std::mutex> lock(shelf_->mutex);
  const Shelf::Block block = shelf_->take((floats + kBlock - 1) / kBlock * kBlock);
  const std::weak_ptr<Shelf> home = shelf_;
  return {{block.start,
           [home, size = block.floats](float* returned) {
             const std::shared_ptr<Shelf> shelf = home.lock();
             if (shelf == nullptr) return;
             const std::lock_guard<std::mutex> shelved(shelf->mutex);
             shelf->free.push_back({size, returned});
           }},
          shelf_};
}

}  // namespace lrpfast
