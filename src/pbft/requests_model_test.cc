// The pure types that keep requests, against dumb versions: lists, and a look through all of them
// for every answer.
#include <algorithm>

#include "pbft/test_group.h"

namespace rosebud::pbft {
namespace {

ClientId client(std::size_t which) {
  static const std::vector<ClientId> kClients = [] {
    std::vector<ClientId> out;
    for (std::size_t i = 0; i < 8; ++i) {
      out.push_back(test_key("client " + std::to_string(i)).public_key());
    }
    return out;
  }();
  return kClients[which];
}

/// Not signed: who keeps requests takes them as verified.
Request request_of(std::size_t who, std::uint64_t number, std::size_t size) {
  return {.client = client(who),
          .number = RequestNumber(number),
          .operation = Buffer(Bytes(size)),
          .signature = {}};
}

crypto::Digest name_of(const Request& request) { return request.digest(InstanceId{}); }

Instant at(std::uint64_t tick) { return Instant(Duration(static_cast<std::int64_t>(tick))); }

// ---- Pending requests ----

/// Requests in the order of arrival, and a line of clients. A client stands in the line while it
/// waits; when it had its turn, what it asks for next stands at the end.
struct DumbPending {
  struct Waiting {
    Request request;
    Instant since;
    crypto::Digest digest;
    bool is_proposed = false;
    bool is_told = false;
  };
  std::size_t count_max;
  std::size_t bytes_max;
  std::vector<Waiting> all{};
  std::vector<ClientId> line{};

  Waiting* of(const ClientId& who) {
    for (Waiting& one : all) {
      if (one.request.client == who) return &one;
    }
    return nullptr;
  }
  void drop(const ClientId& who) {
    std::erase_if(all, [&](const Waiting& one) { return one.request.client == who; });
  }
  bool has_room_for(const Request& request) const {
    std::size_t bytes = request.operation.size();
    for (const Waiting& one : all) bytes += one.request.operation.size();
    return all.size() + 1 <= count_max && bytes <= bytes_max;
  }
  bool add(const Request& request, Instant now, const crypto::Digest& digest) {
    const Waiting* earlier = of(request.client);
    if (earlier && earlier->request.number >= request.number) return false;
    const bool keeps_place = earlier && !earlier->is_proposed;
    drop(request.client);
    const bool is_taken = has_room_for(request);
    if (!is_taken || !keeps_place) std::erase(line, request.client);
    if (is_taken && !keeps_place) line.push_back(request.client);
    if (is_taken) all.push_back({.request = request, .since = now, .digest = digest});
    return is_taken;
  }
  std::optional<Instant> remove(const ClientId& who, RequestNumber up_to) {
    const Waiting* one = of(who);
    if (!one || one->request.number > up_to) return std::nullopt;
    const Instant since = one->since;
    drop(who);
    std::erase(line, who);
    return since;
  }
  std::vector<Request> take_batch(std::size_t batch_count_max, std::size_t batch_bytes_max) {
    std::vector<Request> out;
    std::size_t bytes = 0;
    for (const ClientId& who : line) {
      Waiting& one = *of(who);
      if (one.is_proposed) continue;
      bytes += encoded_size(one.request);
      const bool fits = out.size() < batch_count_max && (out.empty() || bytes <= batch_bytes_max);
      if (!fits) break;
      one.is_proposed = true;
      out.push_back(one.request);
    }
    return out;
  }
  std::vector<Request> tell(Instant since) {
    std::vector<Request> out;
    for (Waiting& one : all) {
      if (one.since > since || one.is_told) continue;
      one.is_told = true;
      out.push_back(one.request);
    }
    return out;
  }
  std::vector<Request> waiting_since(Instant since, std::size_t most) const {
    std::vector<Request> out;
    for (const Waiting& one : all) {
      if (one.since <= since && out.size() < most) out.push_back(one.request);
    }
    return out;
  }
};

void expect_same(const PendingRequests& pending, const DumbPending& dumb) {
  EXPECT_EQ(pending.size(), dumb.all.size());
  EXPECT_EQ(pending.empty(), dumb.all.empty());
  std::size_t unproposed = 0;
  std::optional<Instant> oldest;
  std::optional<Instant> oldest_untold;
  for (const auto& one : dumb.all) {
    if (!one.is_proposed) ++unproposed;
    if (!oldest || one.since < *oldest) oldest = one.since;
    if (!one.is_told && (!oldest_untold || one.since < *oldest_untold)) oldest_untold = one.since;
    if (one.digest == crypto::Digest{}) continue;
    const Request* found = pending.find(one.digest);
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, one.request);
  }
  EXPECT_EQ(pending.unproposed_count(), unproposed);
  if (oldest) {
    EXPECT_EQ(pending.oldest_since(), *oldest);
  }
  EXPECT_EQ(pending.first_untold_since(), oldest_untold);
}

TEST(PendingRequests, AreThoseOfTheDumbVersion) {
  Random random(2);
  for (int round = 0; round < 60; ++round) {
    PendingRequests pending(5, 30, 1);
    DumbPending dumb{.count_max = 5, .bytes_max = 30};
    std::vector<crypto::Digest> ever;
    std::uint64_t tick = 0;
    for (std::uint64_t step = 0; step < 150; ++step) {
      tick += random.below(3);
      const std::size_t who = random.below(8);
      const RequestNumber number(step / 8 + random.below(6));
      const Instant then = at(random.between(tick > 9 ? tick - 9 : 0, tick));
      switch (random.below(14)) {
        default: {
          const Request request = request_of(who, number.value, random.below(13));
          const bool is_named = random.chance(3, 4);
          const crypto::Digest digest = is_named ? name_of(request) : crypto::Digest{};
          ever.push_back(digest);
          EXPECT_EQ(pending.add(request, at(tick), digest), dumb.add(request, at(tick), digest));
          break;
        }
        case 0:
          EXPECT_EQ(pending.remove(client(who), number), dumb.remove(client(who), number));
          break;
        case 1: {
          const auto is_done = [&](const Request& one) { return one.number.value % 5 == 0; };
          pending.remove_if(is_done);
          for (std::size_t i = 0; i < 8; ++i) {
            const auto* one = dumb.of(client(i));
            if (one && is_done(one->request)) dumb.remove(client(i), one->request.number);
          }
          break;
        }
        case 2:
          if (random.chance(3, 4)) break;
          pending.clear();
          dumb.all.clear();
          dumb.line.clear();
          break;
        case 3:  // a new view
          pending.restart(at(tick));
          for (auto& one : dumb.all) {
            one.since = at(tick);
            one.is_proposed = false;
            one.is_told = false;
          }
          break;
        case 4: {
          // What the primary proposes may be newer or older than what waits here.
          auto* one = dumb.of(client(who));
          const bool is_it = one && random.chance(2, 3);
          const RequestNumber proposed = is_it ? one->request.number : number;
          pending.mark_proposed(client(who), proposed);
          if (one && one->request.number == proposed) one->is_proposed = true;
          break;
        }
        case 5:
        case 6: {
          const std::size_t count_max = random.below(4);
          const std::size_t bytes_max = random.below(25);
          const auto first = pending.first_unproposed(count_max, bytes_max);
          EXPECT_EQ(first, dumb.take_batch(count_max, bytes_max));
          EXPECT_EQ(pending.take_batch(count_max, bytes_max), first);
          for (const Request& one : first) EXPECT_TRUE(pending.holds(one));
          break;
        }
        case 7:
          EXPECT_EQ(pending.tell(then), dumb.tell(then));
          break;
      }
      expect_same(pending, dumb);
      const std::size_t most = random.below(6);
      EXPECT_EQ(pending.waiting_since(then, most), dumb.waiting_since(then, most));
      if (ever.empty()) continue;
      // What does not wait any more is not found.
      const crypto::Digest& asked_for = ever[random.below(ever.size())];
      const bool is_there = std::ranges::count(dumb.all, asked_for, &DumbPending::Waiting::digest);
      EXPECT_EQ(pending.find(asked_for) != nullptr, is_there && asked_for != crypto::Digest{});
    }
  }
}

// ---- Who vouches for what ----

/// Every vouch that was news, in order.
struct DumbVouches {
  const Group& group;
  std::size_t kept_max;
  std::vector<std::pair<ReplicaId, crypto::Digest>> news{};

  /// Among the last so many of that replica.
  bool holds(ReplicaId replica, const crypto::Digest& request) const {
    std::size_t seen = 0;
    for (std::size_t i = news.size(); i-- > 0 && seen < kept_max;) {
      if (news[i].first != replica) continue;
      if (news[i].second == request) return true;
      ++seen;
    }
    return false;
  }
  std::size_t count(const crypto::Digest& request) const {
    std::size_t out = 0;
    for (const ReplicaId replica : group.members()) out += holds(replica, request);
    return out;
  }
};

TEST(Vouches, AreThoseOfTheDumbVersion) {
  Random random(3);
  for (int round = 0; round < 60; ++round) {
    const auto group = test_group(random.between(1, 2));
    const ReplicaId self = id(random.below(group->seat_count()));
    const std::size_t kept_max = random.between(1, 4);
    Vouches vouches(group, self, kept_max, 1);
    DumbVouches dumb{.group = *group, .kept_max = kept_max};
    for (int step = 0; step < 80; ++step) {
      const ReplicaId from = id(random.below(group->seat_count()));
      const crypto::Digest request = test_digest(random.below(6));
      const bool is_news = !dumb.holds(from, request);
      EXPECT_EQ(vouches.add(from, request).has_value(), is_news);
      if (is_news) dumb.news.emplace_back(from, request);
      std::size_t size = 0;
      for (std::uint64_t lot = 0; lot < 6; ++lot) {
        const crypto::Digest one = test_digest(lot);
        const std::size_t all = dumb.count(one);
        const bool is_own = dumb.holds(self, one);
        size += all > 0;
        EXPECT_EQ(vouches.of(one).is_authentic, is_own);
        EXPECT_EQ(vouches.of(one).is_vouched_by_others, all - is_own >= group->faults() + 1);
        EXPECT_EQ(vouches.of(one).is_ready, is_own && all >= 2 * group->faults() + 1);
      }
      EXPECT_EQ(vouches.size(), size);
    }
  }
}

TEST(Vouches, WhatIsReadyAtOneIsReadyAtAllAndWhatNobodyVerifiedIsAuthenticNowhere) {
  const std::vector<std::shared_ptr<const Group>> groups = {test_group(1), test_group(2)};
  const crypto::Digest request = test_digest(1);
  Random random(4);
  for (int round = 0; round < 1000; ++round) {
    const std::size_t faults = random.between(1, 2);
    const auto& group = groups[faults - 1];
    // The first F say anything to anybody; the others follow the rules of vouches.h.
    std::vector<Vouches> all;
    for (std::size_t i = 0; i < group->seat_count(); ++i) all.emplace_back(group, id(i), 4, 1);
    std::vector<std::pair<std::size_t, std::size_t>> under_way;  // from, to
    const auto vouch = [&](std::size_t from) {
      all[from].add(id(from), request);
      for (std::size_t to = faults; to < all.size(); ++to) {
        if (to != from) under_way.emplace_back(from, to);
      }
    };
    std::size_t verified = 0;
    const std::uint64_t twelfths = random.below(13);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i < faults) {
        for (std::size_t to = faults; to < all.size(); ++to) {
          if (random.chance(1, 2)) under_way.emplace_back(i, to);
        }
      } else if (random.chance(twelfths, 12)) {  // its MAC is right
        vouch(i);
        ++verified;
      }
    }
    while (!under_way.empty()) {
      std::swap(under_way[random.below(under_way.size())], under_way.back());
      const auto [from, to] = under_way.back();
      under_way.pop_back();
      all[to].add(id(from), request);
      if (!all[to].of(request).is_authentic && all[to].of(request).is_vouched_by_others) vouch(to);
    }
    std::size_t authentic = 0;
    std::size_t ready = 0;
    for (std::size_t i = faults; i < all.size(); ++i) {
      authentic += all[i].of(request).is_authentic;
      ready += all[i].of(request).is_ready;
    }
    const std::size_t correct = all.size() - faults;
    if (verified == 0) {
      EXPECT_EQ(authentic, 0U);
    }
    if (ready > 0) {
      EXPECT_EQ(ready, correct);
    }
    if (verified >= faults + 1) {
      EXPECT_EQ(ready, correct);
    }
  }
}

TEST(UnreadyRequests, AreThoseOfTheDumbVersion) {
  Random random(5);
  for (int round = 0; round < 60; ++round) {
    UnreadyRequests unready(4, 30, 1);
    std::vector<Request> dumb;  // in the order of arrival
    std::vector<Request> ever;
    const auto bytes = [&] {
      std::size_t out = 0;
      for (const Request& one : dumb) out += one.operation.size();
      return out;
    };
    for (std::uint64_t step = 0; step < 120; ++step) {
      const std::size_t who = random.below(8);
      const RequestNumber number(step / 8 + random.below(6));
      const auto is_of_client = [&](const Request& one) { return one.client == client(who); };
      switch (random.below(8)) {
        default: {
          // One that is too large alone drives out all others, and itself.
          const Request request =
              request_of(who, number.value, random.chance(1, 30) ? 31 : random.below(13));
          ever.push_back(request);
          unready.add(request, name_of(request));
          const auto earlier = std::ranges::find_if(dumb, is_of_client);
          if (earlier != dumb.end() && earlier->number >= request.number) break;
          std::erase_if(dumb, is_of_client);
          dumb.push_back(request);
          while (dumb.size() > 4 || bytes() > 30) dumb.erase(dumb.begin());
          break;
        }
        case 0: {
          if (ever.empty()) break;
          const Request& request = ever[random.below(ever.size())];
          const bool is_there = std::ranges::count(dumb, request) > 0;
          const auto taken = unready.take(name_of(request));
          EXPECT_EQ(taken, is_there ? std::optional(request) : std::nullopt);
          std::erase(dumb, request);
          break;
        }
        case 1:
          unready.remove(client(who), number);
          std::erase_if(
              dumb, [&](const Request& one) { return is_of_client(one) && one.number <= number; });
          break;
        case 2:
          if (random.chance(3, 4)) break;
          unready.clear();
          dumb.clear();
          break;
      }
      EXPECT_EQ(unready.size(), dumb.size());
      for (const Request& one : dumb) {
        const Request* found = unready.find(name_of(one));
        ASSERT_TRUE(found);
        EXPECT_EQ(*found, one);
      }
      if (ever.empty()) continue;
      const Request& asked_for = ever[random.below(ever.size())];
      EXPECT_EQ(unready.find(name_of(asked_for)) != nullptr,
                std::ranges::count(dumb, asked_for) > 0);
    }
  }
}

}  // namespace
}  // namespace rosebud::pbft
