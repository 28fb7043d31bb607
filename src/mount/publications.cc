#include "mount/publications.h"

#include <algorithm>
#include <cerrno>

namespace rosebud::mount {
namespace {

/// After a failure, before the next attempt that nobody waits for.
constexpr Duration kRetryAfter = std::chrono::seconds(5);

int number_of(Unpublished::Why why) {
  switch (why) {
    case Unpublished::Why::kTimedOut:
      return ETIMEDOUT;
    case Unpublished::Why::kNoRoom:
      return ENOSPC;
    case Unpublished::Why::kFailed:
    case Unpublished::Why::kLocal:
    // Not EROFS: programs take that for a file system on which there is nothing to make durable.
    case Unpublished::Why::kOvertaken:
      break;
  }
  return EIO;
}

}  // namespace

Publications::Publications(WritableFileSystem& files, Publisher& publisher, Options options)
    : files_(files), publisher_(publisher), options_(std::move(options)) {}

Publications::~Publications() { (void)end(); }

void Publications::start() {
  thread_ = std::thread([this] { run(); });
  forewarning_ = std::thread([this] { run_forewarning(); });
}

void Publications::on_change() {
  bool is_news = files_.is_crowded();
  {
    const Lock lock(mutex_);
    last_change_ = Clock::now();
    if (!first_change_) {
      first_change_ = last_change_;
      is_news = true;
    }
  }
  if (is_news) changed_.notify_all();
}

void Publications::wake() {
  {
    const Lock lock(mutex_);
  }
  changed_.notify_all();
}

Answer<void> Publications::publish_all(const GivenUp* given_up) {
  return wait_for_publication(given_up, false);
}

Answer<void> Publications::make_room(const GivenUp* given_up) {
  return wait_for_publication(given_up, true);
}

Answer<void> Publications::wait_for_publication(const GivenUp* given_up, bool is_room_needed) {
  Lock lock(mutex_);
  if (is_over_) return refuse(EIO);
  if (!next_) next_ = std::make_shared<Round>();
  is_room_needed_ = is_room_needed_ || is_room_needed;
  const std::shared_ptr<Round> round = next_;
  changed_.notify_all();
  changed_.wait(lock, [&] { return round->answer || is_over_ || (given_up && *given_up); });
  if (round->answer) return *round->answer;
  return refuse(is_over_ ? EIO : EINTR);
}

Status<Unpublished> Publications::end() {
  {
    const Lock lock(mutex_);
    is_ending_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  if (forewarning_.joinable()) forewarning_.join();
  const Lock lock(mutex_);
  is_over_ = true;
  if (!failure_ || !files_.has_changes()) return {};
  return fail(*failure_);
}

std::optional<Publications::Pending> Publications::unpublished() const {
  Pending out;
  {
    const Lock lock(mutex_);
    if (!failure_) return std::nullopt;
    out.why = *failure_;
  }
  out.paths = files_.pending_paths(kPathsMax);
  if (out.paths.empty()) return std::nullopt;
  return out;
}

void Publications::stop_following() {
  Lock lock(mutex_);
  is_following_ = false;
  to_forewarn_.clear();
  changed_.wait(lock, [&] { return !is_in_follow_ && !is_forewarning_; });
}

std::optional<Deadline> Publications::due() const {
  if (!first_change_ || is_overtaken_) return std::nullopt;
  const Deadline at =
      std::min(last_change_ + options_.after, *first_change_ + kMostTimes * options_.after);
  return std::max(at, not_before_);
}

void Publications::run() {
  Deadline ask_at = Clock::now() + options_.ask_every;
  Lock lock(mutex_);
  while (true) {
    const auto is_urgent = [&] {
      return next_ || is_ending_ ||
             (first_change_ && !is_overtaken_ && Clock::now() >= not_before_ &&
              files_.is_crowded());
    };
    const auto is_time = [&] {
      const auto at = due();
      return is_urgent() || (at && *at <= Clock::now());
    };
    if (!is_time()) {
      const auto at = due();
      changed_.wait_until(lock, at ? std::min(*at, ask_at) : ask_at);
    }
    if (is_time()) {
      const std::shared_ptr<Round> round = std::exchange(next_, nullptr);
      const How how{.is_last = is_ending_,
                    .is_awaited = round != nullptr,
                    .is_room_needed = std::exchange(is_room_needed_, false)};
      // What is changed from here on counts for the next one, if it is not in this.
      first_change_.reset();
      lock.unlock();
      const auto answer = publish(how);
      lock.lock();
      if (!answer && !first_change_) {
        first_change_ = last_change_ = Clock::now();
        not_before_ = *first_change_ + kRetryAfter;
      }
      if (round) round->answer = answer;
      changed_.notify_all();
      if (how.is_last) break;
      continue;
    }
    if (Clock::now() < ask_at) continue;
    ask_at = Clock::now() + options_.ask_every;
    if (!is_following_ || is_overtaken_) continue;
    is_in_follow_ = true;
    lock.unlock();
    follow();
    lock.lock();
    is_in_follow_ = false;
    ask_at = Clock::now() + options_.ask_every;
    changed_.notify_all();
  }
  is_over_ = true;
  changed_.notify_all();
}

Answer<void> Publications::publish(How how) {
  {
    const Lock lock(mutex_);
    if (is_overtaken_) return refuse(EIO);
  }
  using InWork = PublicationPlan::InWork;
  const bool makes_room = how.is_room_needed || files_.is_crowded();
  auto plan = files_.begin_publication(how.is_last  ? InWork::kTaken
                                       : makes_room ? InWork::kStored
                                                    : InWork::kLeftOut,
                                       how.is_awaited);
  if (!plan) {
    const Lock lock(mutex_);
    failure_.reset();
    return {};
  }
  const auto done =
      publisher_.publish([&](fs::BlockSink& sink) { return files_.store(*plan, sink); });
  files_.end_publication(std::move(*plan), done ? WritableFileSystem::Outcome::kPublished
                                                : WritableFileSystem::Outcome::kFailed);
  bool is_first = false;
  {
    const Lock lock(mutex_);
    is_first = !failure_;
    failure_.reset();
    if (done) return {};
    failure_ = done.error();
    is_overtaken_ = done.error().why == Unpublished::Why::kOvertaken;
    is_first = is_first || is_overtaken_;
    if (is_overtaken_) files_.refuse_changes();
  }
  const auto told = unpublished();
  if ((is_first || how.is_last) && told) options_.tell(*told);
  return refuse(number_of(done.error().why));
}

void Publications::follow() {
  if (files_.has_changes()) return;
  const auto root = publisher_.newer();
  if (!root) return;
  const auto followed = files_.follow(*root, [this](const Changes& changes) {
    const Lock lock(mutex_);
    if (is_following_) to_forewarn_.push_back(changes);
    changed_.notify_all();
  });
  if (followed && *followed) publisher_.stand_on_newer();
}

void Publications::run_forewarning() {
  Lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return !to_forewarn_.empty() || is_over_; });
    if (is_over_) return;
    const Changes changes = std::move(to_forewarn_.front());
    to_forewarn_.pop_front();
    is_forewarning_ = true;
    lock.unlock();
    options_.forewarn(changes);
    lock.lock();
    is_forewarning_ = false;
    changed_.notify_all();
  }
}

}  // namespace rosebud::mount
