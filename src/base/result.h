// Result: a value or an expected failure. Programmer errors are CHECKs, unknown outcomes are values
// of their own.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace rosebud {

template <typename T, typename E>
using Result = std::expected<T, E>;

template <typename E>
using Status = std::expected<void, E>;

/// Makes the failure side of a Result: `return fail(Error::kNoSpace);`
template <typename E>
std::unexpected<E> fail(E error) {
  return std::unexpected<E>(std::move(error));
}

/// What sort of failure a caller may want to tell apart.
enum class Trouble : std::uint8_t {
  kLocal,      // wrong argument, unreadable file, ...
  kNotFound,   // what was asked for is not there
  kIntegrity,  // what was stored makes no sense
};

/// A failure told to a person: what happened, the likely cause, and what to do next (each may be
/// empty but the first).
struct Explained {
  std::string what;
  std::string cause;
  std::string next;
  Trouble trouble = Trouble::kLocal;

  /// "what; cause; next", without the empty ones.
  std::string text() const {
    std::string out = what;
    if (!cause.empty()) out += "; " + cause;
    if (!next.empty()) out += "; " + next;
    return out;
  }
};

}  // namespace rosebud
