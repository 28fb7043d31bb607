// What the allocator does with memory that was freed.
#pragma once

namespace rosebud {

/// For programs that move blocks of a megabyte: the allocator keeps up to 16 MiB of freed memory
/// (of each thread's heap) instead of giving every block back to the system. A page that was given
/// back costs a fault and a zeroing at its next use, which is more than copying, hashing and
/// encrypting it. Call first in main(); a library leaves the choice to its program.
void keep_freed_memory();

}  // namespace rosebud
