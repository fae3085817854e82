#include "dispatch.h"

#include <cstdlib>
#include <stdexcept>

namespace lrpfast {
namespace {

std::vector<const KernelTable*> available() {
  std::vector<const KernelTable*> tables{&baseline::table()};
#if LRPFAST_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) tables.push_back(&avx2::table());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq"))
    tables.push_back(&avx512::table());
#endif
  return tables;
}

const KernelTable& chosen() {
  const auto tables = available();
  const char* wanted = std::getenv("LRPFAST_ISA");
  if (wanted == nullptr || *wanted == '\0') return *tables.back();
  std::string names;
  for (const KernelTable* table : tables) {
    if (std::string(table->name) == wanted) return *table;
    names += names.empty() ? table->name : std::string(", ") + table->name;
  }
  throw std::runtime_error("LRPFAST_ISA is '" + std::string(wanted) + "', but this machine runs " + names +
                           "; set it to one of these, or unset it.");
}

}  // namespace

const KernelTable& kernels() {
  static const KernelTable& table = chosen();
  return table;
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const KernelTable* table : available()) names.emplace_back(table->name);
  return names;
}

}  // namespace lrpfast
