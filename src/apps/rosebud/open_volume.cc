#include "apps/rosebud/open_volume.h"

#include <chrono>

namespace rosebud::apps {

fs::ModificationTime now() {
  const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
  constexpr std::int64_t kBillion = 1'000'000'000;
  return {.seconds = since / kBillion, .nanoseconds = static_cast<std::uint32_t>(since % kBillion)};
}

// ---- What people type ----

VolumePath VolumePath::below(const std::string& entry) const {
  VolumePath out = *this;
  out.path.push_back(entry);
  return out;
}

std::optional<VolumePath> volume_path_of(const std::string& text) {
  const auto colon = text.find(':');
  if (colon == std::string::npos) return std::nullopt;
  auto volume = volume_of(std::string_view(text).substr(0, colon));
  if (!volume) return std::nullopt;
  const std::string_view path = std::string_view(text).substr(colon + 1);
  return VolumePath{.volume = std::move(*volume),
                    .path = or_stop(fs::parse_tree_path(path)),
                    .is_directory_meant = path.ends_with('/')};
}

VolumePath need_volume_path(const std::string& text) {
  if (auto path = volume_path_of(text)) return std::move(*path);
  if (auto volume = volume_of(text)) return {.volume = std::move(*volume)};
  stop(ExitCode::kUsage,
       {.what = "'" + text + "' names nothing in a volume",
        .cause = "a name of a volume has 1 to 32 characters a-z, 0-9 and '-'",
        .next = "give VOLUME:PATH, as in notes:drafts/one.txt; see `rosebud fs list`"});
}

// ---- A volume that is read or changed ----

Volume::Volume(const Globals& globals, OpenSession& session, const VolumeName& name, For use)
    : globals_(globals), session_(session), source_(*session, globals.timeout()), name_(name) {
  const client::VolumeId id = id_of(name, *session);
  if (use == For::kReading) {
    published_ = or_stop(client::read_volume(*session, id, globals.timeout()));
  } else {
    if (id.owner != session->key().public_key()) {
      stop(ExitCode::kDenied, {.what = "only the owner's key can change " + name.text,
                               .cause = "this client has another key",
                               .next = "copy it into a volume of your own, through this "
                                       "machine: rosebud fs cp " +
                                       name.text + ": FOLDER"});
    }
    writer_.emplace(*session, session.file().state, name.name);
    auto there = or_stop(writer_->begin(globals.timeout()));
    // Read for the sake of the words.
    published_ = there ? *there : or_stop(client::read_volume(*session, id, globals.timeout()));
  }
  tree_.emplace(published_.state.root, source_);
  if (auto sound = tree_->check_root(); !sound) stop_reading(source_, sound.error());
}

void Volume::stop_at(Explained explained, const VolumePath& at) {
  if (explained.next.empty())
    explained.next = "see what is there: rosebud fs ls " + directory_above(at).text();
  stop_reading(source_, explained);
}

bool Volume::is_directory(const VolumePath& at) {
  const auto there = or_stop_at(tree_->find(at.path), at);
  return there && or_stop_at(tree_->is_directory(there->cid), at);
}

VolumePath Volume::directory_above(VolumePath at) {
  while (!at.path.empty()) {
    at.path.pop_back();
    const auto there = tree_->find(at.path);
    if (there && *there && tree_->is_directory((*there)->cid).value_or(false)) break;
  }
  return at;
}

void Volume::put(const VolumePath& at, const fs::Imported& what) {
  if (at.path.empty()) {
    tree_.emplace(what.cid, source_);
  } else {
    or_stop_at(tree_->put(at.path, what, now()), at);
  }
}

void Volume::publish(client::StoreSink& sink) {
  const auto stored = tree_->store(sink);
  if (const auto failure = sink.finish()) throw Stop{*failure};
  or_stop(stored);
  if (tree_->root() == published_.state.root) return;
  const Timestamp seconds(static_cast<std::uint64_t>(now().seconds));
  published_ = or_stop(writer_->publish(tree_->root(), seconds, globals_.timeout()));
}

void Volume::publish() {
  client::StoreSink sink(*session_, globals_.timeout());
  publish(sink);
}

void Volume::print_done(nlohmann::json json, const std::string& text, const std::string& id) const {
  json["volume"] = name_.text;
  json["number"] = published_.state.number;
  json["version"] = published_.version.value;
  json["root"] = published_.state.root.text();
  const std::string quiet = id.empty() ? published_.state.root.text() : id;
  print(globals_, json, globals_.is_quiet ? quiet : text);
}

}  // namespace rosebud::apps
