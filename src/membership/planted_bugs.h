// Planted bugs: rules of the chain of epochs that must not be broken. As in
// service/planted_bugs.h, which lists them: the simulator of the service strains them.
#pragma once

#include <cstdint>
#include <optional>

namespace rosebud::membership {

enum class Bug : std::uint8_t {
  kFewSignaturesMakeAnEpoch,  // F of them instead of 2F+1 (design 7)
};

#ifdef ROSEBUD_PLANTED_BUGS
/// Set once, before any core runs.
inline std::optional<Bug> planted_bug;
inline bool is_planted(Bug bug) { return planted_bug == bug; }
#else
constexpr bool is_planted(Bug) { return false; }
#endif

}  // namespace rosebud::membership
