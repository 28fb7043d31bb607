// What faulty nodes make of what they would have said.
#pragma once

#include "base/random.h"
#include "membership/test_cluster.h"
#include "pbft/request.h"
#include "service/notices.h"
#include "service/operations.h"

namespace rosebud::service {

/// What a faulty node does instead of what it should.
enum class Conduct : std::uint8_t {
  kCorrect,
  kMute,           // says nothing at all
  kSpoiler,        // flips a bit in every third notice
  kLiar,           // says wrong numbers, signatures, states
  kLateAnnouncer,  // announces when others have lost their patience
  kTwoFaced,       // announces another key to everybody
  kKeyThief,       // announces a key that is in use elsewhere
  kWithholder,     // opens no share
  kHoarder,        // keeps announcements and signatures to itself
};
inline constexpr Conduct kFaulty[] = {
    Conduct::kMute,     Conduct::kSpoiler,  Conduct::kLiar,       Conduct::kLateAnnouncer,
    Conduct::kTwoFaced, Conduct::kKeyThief, Conduct::kWithholder, Conduct::kHoarder};

/// One notice that leaves, and when.
struct Leaving {
  Duration delay{};
  Buffer bytes;
};

inline std::optional<Operation> operation_in(const Notice& notice) {
  const auto* ask = std::get_if<Ask>(&notice);
  if (!ask) return std::nullopt;
  wire::Reader in(ask->request.view());
  return decode_operation(pbft::read_request(in).operation.view());
}

class Liar {
 public:
  Liar(Conduct conduct, crypto::SecretKey key, Random random)
      : conduct_(conduct), key_(std::move(key)), random_(random) {}

  /// What becomes of a notice on its way out; nothing: it is kept.
  std::optional<Leaving> edit(const membership::Configuration& epoch, const Notice& notice) {
    switch (conduct_) {
      case Conduct::kCorrect:
        return Leaving{.bytes = encode(notice)};
      case Conduct::kMute:
        return std::nullopt;
      case Conduct::kSpoiler:
        return spoilt(notice);
      case Conduct::kLiar:
        return Leaving{.bytes = encode(lie_about(notice))};
      case Conduct::kLateAnnouncer:
        return Leaving{.delay = is<Announced>(notice) ? std::chrono::seconds(6) : Duration{},
                       .bytes = encode(notice)};
      case Conduct::kTwoFaced:
      case Conduct::kKeyThief:
        return Leaving{.bytes = encode(announced_otherwise(epoch, notice))};
      case Conduct::kWithholder:
        if (is_reveal(notice)) return std::nullopt;
        return Leaving{.bytes = encode(notice)};
      case Conduct::kHoarder:
        if (is<Announced>(notice) || is<Signed>(notice) || is_announce(notice)) return std::nullopt;
        return Leaving{.bytes = encode(notice)};
    }
    return std::nullopt;
  }

 private:
  template <typename T>
  static bool is(const Notice& notice) {
    return std::holds_alternative<T>(notice);
  }
  static bool is_reveal(const Notice& notice) {
    const auto operation = operation_in(notice);
    return operation && std::holds_alternative<Reveal>(*operation);
  }
  static bool is_announce(const Notice& notice) {
    const auto operation = operation_in(notice);
    return operation && std::holds_alternative<Announce>(*operation);
  }

  Leaving spoilt(const Notice& notice) {
    Bytes bytes = to_bytes(encode(notice).view());
    if (random_.chance(1, 3)) {
      bytes[random_.below(bytes.size())] ^= static_cast<std::uint8_t>(1U << random_.below(8));
    }
    return {.bytes = Buffer(std::move(bytes))};
  }
  Notice lie_about(Notice notice) {
    if (auto* probed = std::get_if<Probed>(&notice)) probed->number = random_.next();
    if (auto* one = std::get_if<Signed>(&notice)) one->signature.signature.bytes[0] ^= 1;
    if (auto* one = std::get_if<Announced>(&notice)) one->announcement.signature.bytes[0] ^= 1;
    if (auto* found = std::get_if<StateFound>(&notice)) found->state = Buffer(Bytes{1, 2, 3});
    return notice;
  }
  Notice announced_otherwise(const membership::Configuration& epoch, Notice notice) {
    auto* one = std::get_if<Announced>(&notice);
    auto announcement = one ? Announcement::decode(one->announcement.statement) : std::nullopt;
    if (!announcement) return notice;
    announcement->epoch_key =
        conduct_ == Conduct::kKeyThief
            ? epoch.service()[random_.below(epoch.service().size())].epoch_key
            : membership::test_key(std::to_string(random_.next())).public_key();
    one->announcement = wire::sign(crypto::model_scheme(), key_, *announcement);
    return notice;
  }

  Conduct conduct_;
  crypto::SecretKey key_;
  Random random_;
};

}  // namespace rosebud::service
