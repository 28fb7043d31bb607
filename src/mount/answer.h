// What an operation of a mount ends with: a value, or a number that the caller of a system call is
// told.
#pragma once

#include "base/result.h"

namespace rosebud::mount {

/// A number of <cerrno>.
enum class ErrorNumber : int {};

template <typename T>
using Answer = Result<T, ErrorNumber>;

inline std::unexpected<ErrorNumber> refuse(int number) { return fail(ErrorNumber{number}); }

}  // namespace rosebud::mount
