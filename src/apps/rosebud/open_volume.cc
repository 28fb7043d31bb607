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
        .cause = "a name of a volume has 1 to 32 characters a-z, 0-9 and '-', one of a snapshot, "
                 "behind an '@', 1 to 64 letters, digits, '.', '_' and '-'",
        .next = "give VOLUME:PATH, as in notes:drafts/one.txt; see `rosebud fs list`"});
}

// ---- A volume that is read or changed ----

client::Snapshot shown_of(const client::PublishedVolume& published) {
  return {.number = published.state.number,
          .published = published.state.published,
          .root = published.state.root};
}

client::Snapshot state_in(client::Session& session, const client::PublishedVolume& published,
                          const VolumeName& name, Duration timeout) {
  if (!name.snapshot) return shown_of(published);
  return or_stop(
      client::find_state(session, published.state, *name.snapshot, name.volume_text, timeout));
}

MeantState read_state(client::Session& session, const VolumeName& name, Duration timeout) {
  const auto published = or_stop(client::read_volume(session, id_of(name, session), timeout));
  return {.published = published, .shown = state_in(session, published, name, timeout)};
}

void check_root(client::Session& session, const fs::Cid& root, Duration timeout) {
  client::StoreSource source(session, timeout);
  fs::Tree tree(root, source);
  if (auto sound = tree.check_root(); !sound) stop_reading(source, sound.error());
}

void need_no_snapshot(const VolumeName& name) {
  if (!name.snapshot) return;
  stop(ExitCode::kUsage, {.what = name.text + " is a state that does not change",
                          .cause = "snapshots are read, and what is in one can be brought back",
                          .next = "change " + name.volume_text +
                                  " itself, or bring it back: rosebud fs snapshot "
                                  "restore " +
                                  name.volume_text + " " + *name.snapshot});
}

VolumeName need_volume(const std::string& text) {
  if (auto volume = volume_of(text)) return std::move(*volume);
  stop(ExitCode::kUsage,
       {.what = "'" + text + "' names no volume",
        .cause = "a name of a volume has 1 to 32 characters a-z, 0-9 and '-', one of a snapshot, "
                 "behind an '@', 1 to 64 letters, digits, '.', '_' and '-'",
        .next = "see `rosebud fs list` and `rosebud fs snapshot list VOLUME`"});
}

client::PublishedVolume begin_changing(const Globals& globals, OpenSession& session,
                                       const VolumeName& name, client::VolumeWriter& writer) {
  const client::VolumeId id = id_of(name, *session);
  if (id.owner != session->key().public_key()) {
    stop(ExitCode::kDenied, {.what = "only the owner's key can change " + name.volume_text,
                             .cause = "this client has another key",
                             .next = "copy it into a volume of your own, through this "
                                     "machine: rosebud fs cp " +
                                     name.volume_text + ": FOLDER"});
  }
  const auto there = or_stop(writer.begin(globals.timeout()));
  // Read for the sake of the words.
  return there ? *there : or_stop(client::read_volume(*session, id, globals.timeout()));
}

Volume::Volume(const Globals& globals, OpenSession& session, const VolumeName& name, For use)
    : globals_(globals), session_(session), source_(*session, globals.timeout()), name_(name) {
  if (use == For::kReading) {
    auto meant = read_state(*session, name, globals.timeout());
    published_ = std::move(meant.published);
    shown_ = std::move(meant.shown);
  } else {
    need_no_snapshot(name);
    writer_.emplace(*session, session.file().state, name.name);
    published_ = begin_changing(globals, session, name, *writer_);
    shown_ = shown_of(published_);
  }
  open_tree();
}

Volume::Volume(const Globals& globals, OpenSession& session, const VolumeName& name,
               const client::PublishedVolume& published)
    : globals_(globals),
      session_(session),
      source_(*session, globals.timeout()),
      name_(name),
      published_(published),
      shown_(state_in(*session, published, name, globals.timeout())) {
  open_tree();
}

void Volume::open_tree() {
  tree_.emplace(shown_.root, source_);
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
  shown_ = shown_of(published_);
}

void Volume::publish() {
  client::StoreSink sink(*session_, globals_.timeout());
  publish(sink);
}

void Volume::print_done(nlohmann::json json, const std::string& text, const std::string& id) const {
  json["volume"] = name_.volume_text;
  if (name_.snapshot) json["snapshot"] = *name_.snapshot;
  json["number"] = shown_.number;
  json["version"] = published_.version.value;
  json["root"] = shown_.root.text();
  const std::string quiet = id.empty() ? shown_.root.text() : id;
  print(globals_, json, globals_.is_quiet ? quiet : text);
}

}  // namespace rosebud::apps
