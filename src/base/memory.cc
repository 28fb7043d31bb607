#include "base/memory.h"

#include <malloc.h>

namespace rosebud {

void keep_freed_memory() {
#ifdef M_TRIM_THRESHOLD  // the GNU C library; others go their own way
  constexpr int kKeptBytes = 16 << 20;
  constexpr int kMappedFromBytes = 8 << 20;
  ::mallopt(M_TRIM_THRESHOLD, kKeptBytes);
  ::mallopt(M_MMAP_THRESHOLD, kMappedFromBytes);
#endif
}

}  // namespace rosebud
