// toml++ as we use it: errors are values, and what a person typed never ends the process. Include
// this instead of the library.
#pragma once

#define TOML_EXCEPTIONS 0
// The library asserts on a table's name that begins with anything but a letter ("[:"), and then
// says what is wrong with it.
#define TOML_ASSERT(condition) static_cast<void>(0)
#include <toml++/toml.h>
