// Memory that is used again from call to call.
#pragma once

#include <cstddef>
#include <memory>

namespace lrpfast {

// Hands out aligned memory and takes it back for later requests: fresh pages cost more than the arithmetic on them. May
// be used from many threads; copies are the same pool.
class Pool {
 public:
  // With huge pages, what is not large is kept in such where the system has them: faster, for some more memory.
  explicit Pool(bool huge_pages = false);
  // Goes back to the pool when the last copy of `block` dies. The memory itself lives as long as the pool or any copy
  // of `shelf`.
  struct Memory {
    std::shared_ptr<float> block;
    std::shared_ptr<void> shelf;
  };
  Memory take(std::size_t floats);
  // All memory of the pool that was ever handed out.
  std::size_t bytes() const;

 private:
  struct Shelf;
  std::shared_ptr<Shelf> shelf_;
};

}  // namespace lrpfast
