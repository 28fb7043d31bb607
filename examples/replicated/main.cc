// rosebud-kv: the key-value store of key_value.h, replicated by real processes.
//
//   rosebud-kv init DIR                 a group of four on this machine
//   rosebud-kv serve DIR 0              replica 0; likewise 1, 2, 3
//   rosebud-kv do DIR set colour red    an operation, as any client
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/files.h"
#include "commands.h"
#include "crypto/key_file.h"
#include "key_value.h"
#include "replication/replica_host.h"

using namespace rosebud;

namespace {

constexpr const char* kUsage =
    "usage: rosebud-kv init DIR [--replicas N] [--port FIRST] [--session-keys]\n"
    "       rosebud-kv serve DIR NUMBER\n"
    "       rosebud-kv do DIR OPERATION...     set KEY VALUE | get KEY | add KEY NUMBER\n"
    "       rosebud-kv check DIR SECONDS [CLIENTS]\n"
    "                                          count, and check every answer\n"
    "       rosebud-kv bench DIR IN_FLIGHT SECONDS [PID...]\n"
    "                                          with the processor time of the replicas with these "
    "ids\n";

[[noreturn]] void stop_with(const Explained& failure) {
  std::fprintf(stderr, "rosebud-kv: %s\n", failure.text().c_str());
  std::exit(1);
}
template <typename T>
T or_stop(Result<T, Explained> result) {
  if (!result) stop_with(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
[[noreturn]] void misused() {
  std::fputs(kUsage, stderr);
  std::exit(1);
}

std::size_t number_of(const std::string& text) {
  std::size_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) misused();
  return out;
}

using Folder = std::filesystem::path;

Folder of_replica(const Folder& folder, std::size_t number) {
  return folder / ("replica-" + std::to_string(number));
}

void init(const Folder& folder, std::vector<std::string> options) {
  std::size_t replicas = 4;
  std::size_t port = 21'300;
  replication::GroupFile group;
  for (std::size_t at = 0; at < options.size(); ++at) {
    const auto value = [&] {
      return ++at < options.size() ? number_of(options[at]) : (misused(), 0U);
    };
    if (options[at] == "--replicas")
      replicas = value();
    else if (options[at] == "--port")
      port = value();
    else if (options[at] == "--session-keys")
      group.settings.request_authentication = pbft::RequestAuthentication::kSessionKeys;
    else
      misused();
  }
  if (replicas % 3 != 1 || port + replicas > 65'536) misused();
  crypto::fill_random(group.salt.bytes);
  for (std::size_t i = 0; i < replicas; ++i) {
    const auto key = crypto::SecretKey::generate();
    std::filesystem::create_directories(of_replica(folder, i));
    or_stop(crypto::write_secret_key(of_replica(folder, i) / "key", key));
    group.seats.push_back(replication::Member{.name = "replica-" + std::to_string(i),
                                              .key = key.public_key(),
                                              .address = "127.0.0.1:" + std::to_string(port + i)});
  }
  or_stop(crypto::write_secret_key(folder / "client.key", crypto::SecretKey::generate()));
  or_stop(replace_file(folder / "group.json", group.text()));
  std::printf("next:  for i in $(seq 0 %zu); do rosebud-kv serve %s $i & done\n", replicas - 1,
              folder.c_str());
}

/// "13:05:59.123", UTC.
std::string time_of_day() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count() % 86'400'000;
  char out[48];
  std::snprintf(out, sizeof out, "%02d:%02d:%02d.%03d", static_cast<int>(ms / 3'600'000),
                static_cast<int>(ms / 60'000 % 60), static_cast<int>(ms / 1000 % 60),
                static_cast<int>(ms % 1000));
  return out;
}

int serve(const Folder& folder, std::size_t number) {
  const Folder own = of_replica(folder, number);
  KeyValue machine;
  const auto host = or_stop(replication::ReplicaHost::open(
      {.group = or_stop(replication::GroupFile::read(folder / "group.json")),
       .key = or_stop(crypto::read_secret_key(own / "key")),
       .data = own,
       .listen = {},
       .settings = {},
       .on_event =
           [](const std::string& line) {
             std::printf("%s  %s\n", time_of_day().c_str(), line.c_str());
             std::fflush(stdout);
           }},
      machine));
  // A thread that waits for the signals: nothing may be done in a handler.
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  std::thread waiter([&] {
    int signal = 0;
    sigwait(&ending, &signal);
    host->stop();
  });
  const auto status = host->run();
  if (!status) stop_with(status.error());
  waiter.join();
  const replication::ReplicaStatus at = host->status();
  std::printf("%s  ended: executed %llu, stable %llu\n", time_of_day().c_str(),
              static_cast<unsigned long long>(at.executed),
              static_cast<unsigned long long>(at.stable));
  return 0;
}

int operate(const std::string& folder, const std::vector<std::string>& words) {
  std::string operation;
  for (const std::string& word : words) operation += (operation.empty() ? "" : " ") + word;
  if (operation.size() > pbft::kOperationSizeMax) misused();
  const auto client = open_client(folder, 1, std::chrono::seconds(10));
  const auto outcome = client->wait(Buffer::copy_of(as_bytes(operation)));
  if (outcome.status == replication::Outcome::Status::kExecuted) {
    std::printf("%s\n", std::string(as_text(outcome.result.view())).c_str());
    return 0;
  }
  if (outcome.status == replication::Outcome::Status::kOvertaken) {
    std::fputs(
        "rosebud-kv: a later operation of this client was executed meanwhile; whether this one was "
        "executed too is not known\n"
        "likely: another process uses the same key\n"
        "next: ask with get, or give each process a key of its own\n",
        stderr);
    return 5;
  }
  std::fputs("rosebud-kv: too few replicas answered; it may be executed still\n", stderr);
  for (const std::string& problem : client->problems())
    std::fprintf(stderr, "  %s\n", problem.c_str());
  return 5;
}

}  // namespace

std::unique_ptr<replication::ClientHost> open_client(const std::string& folder, std::size_t keys,
                                                     Duration timeout) {
  replication::ClientOptions options{
      .group = or_stop(replication::GroupFile::read(Folder(folder) / "group.json")),
      .keys = {or_stop(crypto::read_secret_key(Folder(folder) / "client.key"))},
      .timeout = timeout};
  while (options.keys.size() < keys) options.keys.push_back(crypto::SecretKey::generate());
  return replication::ClientHost::open(std::move(options));
}

int main(int count, char** words) {
  const std::vector<std::string> given(words + 1, words + count);
  if (given.size() < 2) misused();
  const std::string& verb = given[0];
  const std::string& folder = given[1];
  const std::vector<std::string> rest(given.begin() + 2, given.end());
  if (verb == "init") return init(folder, rest), 0;
  if (verb == "do" && !rest.empty()) return operate(folder, rest);
  // A connection announces no more.
  const auto is_clients = [](std::size_t one) { return one >= 1 && one <= 512; };
  if (verb == "check" && (rest.size() == 1 || rest.size() == 2)) {
    const std::size_t clients = rest.size() == 2 ? number_of(rest[1]) : 1;
    if (is_clients(clients)) return check(folder, static_cast<double>(number_of(rest[0])), clients);
  }
  const bool is_bench = verb == "bench" && rest.size() >= 2 && is_clients(number_of(rest[0]));
  if (is_bench) {
    std::vector<int> replicas;
    for (std::size_t at = 2; at < rest.size(); ++at)
      replicas.push_back(static_cast<int>(number_of(rest[at])));
    return bench(folder, number_of(rest[0]), static_cast<double>(number_of(rest[1])), replicas);
  }
  if (verb == "serve" && rest.size() == 1) {
    // Before any thread is there, so that all of them have it.
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGINT);
    pthread_sigmask(SIG_BLOCK, &ending, nullptr);
    return serve(folder, number_of(rest[0]));
  }
  misused();
}
