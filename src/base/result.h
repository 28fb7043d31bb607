// Result: a value or an expected failure. Programmer errors are CHECKs, unknown outcomes are values
// of their own.
#pragma once

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

/// A failure told to a person: what happened, the likely cause, and what to do next (each may be
/// empty but the first).
struct Explained {
  std::string what;
  std::string cause;
  std::string next;

  /// "what; cause; next", without the empty ones.
  std::string text() const {
    std::string out = what;
    if (!cause.empty()) out += "; " + cause;
    if (!next.empty()) out += "; " + next;
    return out;
  }
};

}  // namespace rosebud
