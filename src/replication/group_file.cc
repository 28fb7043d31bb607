#include "replication/group_file.h"

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "pbft/messages.h"

namespace rosebud::replication {
namespace {

constexpr int kFormat = 1;
constexpr std::string_view kSessionKeys = "session-keys";
constexpr std::string_view kSignature = "signature";

using pbft::RequestAuthentication;

std::string_view name_of(RequestAuthentication authentication) {
  return authentication == RequestAuthentication::kSessionKeys ? kSessionKeys : kSignature;
}

Explained wrong(const std::filesystem::path& path, std::string what) {
  return {.what = path.string() + ": " + std::move(what),
          .cause = "it was written by hand, or for another version",
          .next = "correct it, or copy the file that the other members have"};
}

template <typename Fixed>
std::optional<Fixed> fixed_of(const nlohmann::json& value) {
  if (!value.is_string()) return std::nullopt;
  const auto bytes = from_hex(value.get<std::string>());
  return bytes ? Fixed::from(*bytes) : std::nullopt;
}

/// A number of the file, or a default where it is not named.
std::optional<std::uint64_t> number_of(const nlohmann::json& file, const char* name,
                                       std::uint64_t otherwise) {
  const auto at = file.find(name);
  if (at == file.end()) return otherwise;
  if (!at->is_number_unsigned()) return std::nullopt;
  return at->get<std::uint64_t>();
}

/// Nothing when a setting is missing or impossible.
std::optional<pbft::GroupSettings> settings_of(const nlohmann::json& file) {
  pbft::GroupSettings out;
  const auto interval = number_of(file, "checkpoint_interval", out.checkpoint_interval);
  const auto window = number_of(file, "window", out.window);
  const auto clients = number_of(file, "clients_max", out.clients_max);
  const auto ahead = number_of(file, "number_ahead_max_ms", out.number_ahead_max_ms);
  if (!interval || !window || !clients || !ahead) return std::nullopt;
  if (*interval == 0 || *window < 2 * *interval || *window > pbft::kWindowMax) return std::nullopt;
  if (*clients == 0 || *clients > pbft::kRememberedClientsMax) return std::nullopt;
  if (*ahead < 2 * pbft::Settings{}.clock_bound_ms) return std::nullopt;
  const std::string authentication = file.value("request_authentication", std::string(kSignature));
  if (authentication != kSignature && authentication != kSessionKeys) return std::nullopt;
  out.checkpoint_interval = *interval;
  out.window = *window;
  out.clients_max = *clients;
  out.number_ahead_max_ms = *ahead;
  out.request_authentication = authentication == kSessionKeys ? RequestAuthentication::kSessionKeys
                                                              : RequestAuthentication::kSignature;
  return out;
}

std::optional<Member> member_of(const nlohmann::json& seat) {
  if (!seat.is_object() || !seat.contains("key")) return std::nullopt;
  const auto key = fixed_of<crypto::PublicKey>(seat["key"]);
  const auto address = seat.find("address");
  if (!key || address == seat.end() || !address->is_string()) return std::nullopt;
  return Member{.name = seat.value("name", std::string()),
                .key = *key,
                .address = address->get<std::string>()};
}

Result<GroupFile, Explained> file_of(const nlohmann::json& file,
                                     const std::filesystem::path& path) {
  if (!file.is_object()) return fail(wrong(path, "it is no JSON object"));
  if (file.value("format", 0) != kFormat) return fail(wrong(path, "\"format\" must be 1"));
  GroupFile out;
  const auto salt =
      file.contains("salt") ? fixed_of<decltype(out.salt)>(file["salt"]) : std::nullopt;
  if (!salt) return fail(wrong(path, "\"salt\" must be 64 hexadecimal digits"));
  const auto settings = settings_of(file);
  if (!settings) return fail(wrong(path, "a setting has a value that no group can have"));
  out.salt = *salt;
  out.settings = *settings;
  const auto seats = file.find("seats");
  if (seats == file.end() || !seats->is_array() || seats->size() % 3 != 1 ||
      seats->size() > pbft::kSeatsMax) {
    return fail(wrong(path, "\"seats\" must be a list of 3F+1, at most 64"));
  }
  std::size_t vacant = 0;
  for (const auto& seat : *seats) {
    auto member = member_of(seat);
    if (!member && !seat.is_null())
      return fail(wrong(path, "a seat needs \"key\" and \"address\", or is null"));
    if (member && out.seat_of(member->key)) return fail(wrong(path, "a key has two seats"));
    if (!member) ++vacant;
    out.seats.push_back(std::move(member));
  }
  if (message_size_max(out) > pbft::kMessageSizeMax)
    return fail(wrong(path, "so many seats need a smaller \"window\""));
  if (vacant > (out.seats.size() - 1) / 3)
    return fail(wrong(path, "more than F seats are vacant: no quorum can be had"));
  return out;
}

}  // namespace

pbft::InstanceId GroupFile::instance() const {
  crypto::Hasher hasher("rosebud group 1");
  hasher.update(salt.view())
      .update_u64(settings.checkpoint_interval)
      .update_u64(settings.window)
      .update_u64(settings.clients_max)
      .update_u64(settings.number_ahead_max_ms)
      .update_u64(static_cast<std::uint64_t>(settings.request_authentication))
      .update_u64(seats.size());
  for (const auto& seat : seats) {
    hasher.update_u64(seat ? 1 : 0);
    if (seat) hasher.update(seat->key.view());
  }
  return *pbft::InstanceId::from(hasher.finish().view());
}

std::size_t message_size_max(const GroupFile& group) {
  const std::size_t quorum = 2 * ((group.seats.size() - 1) / 3) + 1;
  constexpr std::size_t kEndorsement = 2 + 8 + 64;
  const std::size_t certificate = 128 + quorum * kEndorsement;
  return 2 * pbft::kBatchSizeMax + quorum * group.settings.window * certificate;
}

std::shared_ptr<const pbft::Group> GroupFile::group() const {
  std::vector<std::optional<crypto::PublicKey>> keys;
  for (const auto& seat : seats) keys.push_back(seat ? std::optional(seat->key) : std::nullopt);
  return std::make_shared<const pbft::Group>(instance(), std::move(keys));
}

std::optional<pbft::ReplicaId> GroupFile::seat_of(const crypto::PublicKey& key) const {
  for (std::uint16_t seat = 0; seat < seats.size(); ++seat) {
    if (seats[seat] && seats[seat]->key == key) return pbft::ReplicaId(seat);
  }
  return std::nullopt;
}

std::string GroupFile::text() const {
  nlohmann::ordered_json out = {
      {"format", kFormat},
      {"salt", to_hex(salt.view())},
      {"request_authentication", name_of(settings.request_authentication)},
      {"checkpoint_interval", settings.checkpoint_interval},
      {"window", settings.window},
      {"clients_max", settings.clients_max},
      {"number_ahead_max_ms", settings.number_ahead_max_ms},
      {"seats", nlohmann::ordered_json::array()}};
  for (const auto& seat : seats) {
    if (!seat) {
      out["seats"].push_back(nullptr);
      continue;
    }
    out["seats"].push_back(
        {{"name", seat->name}, {"key", to_hex(seat->key.view())}, {"address", seat->address}});
  }
  return out.dump(2) + "\n";
}

Result<GroupFile, Explained> GroupFile::parse(const std::string& text,
                                              const std::filesystem::path& path) {
  try {
    return file_of(nlohmann::json::parse(text), path);
  } catch (const nlohmann::json::exception& error) {
    return fail(wrong(path, error.what()));
  }
}

Result<GroupFile, Explained> GroupFile::read(const std::filesystem::path& path) {
  const auto text = read_text_file(path);
  if (!text) return fail(text.error());
  return parse(*text, path);
}

}  // namespace rosebud::replication
