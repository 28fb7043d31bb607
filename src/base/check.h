// CHECK: an invariant of ours was broken; the process stops, in release builds too.
//
// Nothing that a peer, a client, a user or a disk sends may reach a CHECK before it was validated:
// that would be a remote kill. Expected failures are a Result (base/result.h).
#pragma once

namespace rosebud::detail {

/// Prints the condition and where it stands to standard error, then aborts.
[[noreturn]] void check_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace rosebud::detail

#define CHECK(condition)                                               \
  do {                                                                 \
    if (!(condition)) [[unlikely]]                                     \
      ::rosebud::detail::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)

// For checks that cost more than the work they guard: on in debug, sanitizer, fuzz and simulation
// builds.
#ifdef ROSEBUD_DCHECKS
#define DCHECK(condition) CHECK(condition)
#else
#define DCHECK(condition)         \
  do {                            \
    if (false) (void)(condition); \
  } while (false)
#endif
