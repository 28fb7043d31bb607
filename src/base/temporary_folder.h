// A folder of a test's, benchmark's or command's own.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "base/check.h"

namespace rosebud {

/// Made with a name that nobody has, removed with all that is in it at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    // mkdtemp() puts something new in the place of the six characters.
    std::string name = (std::filesystem::temp_directory_path() / "rosebud-XXXXXX").string();
    CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace rosebud
