#include "client/fetch_epochs.h"

#include <boost/asio/io_context.hpp>

#include "membership/description.h"
#include "net/connection.h"
#include "wire/codec.h"
#include "wire/hello.h"

namespace rosebud::client {
namespace {

namespace asio = boost::asio;

/// One connection: hello, then question after question.
class Fetch {
 public:
  Fetch(asio::io_context& io, const crypto::SecretKey& key, const wire::SignedBytes& admission,
        const crypto::ClusterId& cluster)
      : io_(io),
        tls_(key),
        hello_{.cluster = cluster,
               .configuration = {},
               .role = wire::Role::kNode,
               .admission = admission} {}

  void start(const std::string& address) {
    net::dial(
        io_, tls_, address, std::nullopt, {},
        [this](Result<net::ConnectionPointer, net::CloseReason> dialled) {
          if (!dialled) return end(std::string(net::name_of(dialled.error())));
          connection_ = std::move(*dialled);
          connection_->start(
              {.on_frame = [this](Bytes header, Buffer bulk) { take(header, std::move(bulk)); },
               .on_closed =
                   [this](net::CloseReason reason) { end(std::string(net::name_of(reason))); }});
          connection_->send(hello_.encode(), {});
        });
  }

  std::optional<membership::SignedGenesis> genesis;
  std::vector<std::shared_ptr<const membership::Configuration>> chain;  // its configuration first
  bool is_other_cluster = false;
  std::string problem = "no answer in time";

 private:
  void take(const Bytes& header, Buffer bulk) {
    if (!std::exchange(is_greeted_, true)) return take_greeting(header);
    auto message = wire::decode(header, std::move(bulk));
    const auto* answer = message ? std::get_if<wire::Answer>(&*message) : nullptr;
    const auto* found = answer ? std::get_if<wire::Descriptions>(&answer->body) : nullptr;
    if (!found) return end("it does not tell how the cluster began");
    const std::size_t before = chain.size();
    for (const Buffer& one : found->descriptions) {
      if (!(chain.empty() ? take_genesis(one) : take_next(one))) return io_.stop();
    }
    if (chain.size() == before) return io_.stop();
    ask();
  }
  bool take_genesis(const Buffer& bytes) {
    genesis = membership::SignedGenesis::decode(bytes);
    auto first = genesis ? membership::verify_genesis(*genesis, hello_.cluster, crypto::ed25519())
                         : Result<std::shared_ptr<const membership::Configuration>, Explained>(
                               fail(Explained{}));
    is_other_cluster = !first;
    if (first) chain.push_back(std::move(*first));
    return first.has_value();
  }
  bool take_next(const Buffer& bytes) {
    auto next = membership::apply(*chain.back(), bytes, crypto::ed25519());
    if (next) chain.push_back(std::move(*next));
    return next.has_value();
  }
  void take_greeting(const Bytes& header) {
    const auto answer = wire::HelloAnswer::decode(header);
    if (!answer) return end("it is no node");
    if (answer->verdict != wire::HelloVerdict::kWelcome)
      return end(std::string(wire::text_of(answer->verdict)));
    ask();
  }
  void ask() {
    const auto after = chain.empty() ? wire::ConfigurationNumber{} : chain.back()->number();
    wire::EncodedMessage question =
        wire::encode(wire::Request{.context = {.configuration = after, .nonce = {}},
                                   .body = wire::GetDescriptions{.after = after}});
    connection_->send(std::move(question.header), std::move(question.bulk));
  }
  void end(std::string why) {
    problem = std::move(why);
    io_.stop();
  }

  asio::io_context& io_;
  net::TlsContext tls_;
  wire::Hello hello_;
  net::ConnectionPointer connection_;
  bool is_greeted_ = false;
};

}  // namespace

Result<FetchedEpochs, Explained> fetch_epochs(const std::string& address,
                                              const crypto::SecretKey& key,
                                              const wire::SignedBytes& admission,
                                              Duration timeout) {
  const auto statement = wire::AdmissionStatement::decode(admission.statement);
  if (!statement) return fail(Explained{.what = "this is no admission statement"});
  asio::io_context io;
  Fetch fetch(io, key, admission, statement->cluster);
  fetch.start(address);
  io.run_for(timeout);
  if (fetch.is_other_cluster) {
    return fail(Explained{.what = address + " tells of another cluster than the statement names",
                          .cause = "the node there lies, or it is another cluster's",
                          .next = "name another node with --at HOST:PORT",
                          .trouble = Trouble::kIntegrity});
  }
  if (fetch.chain.empty()) {
    return fail(
        Explained{.what = "cannot learn of the cluster from " + address + ": " + fetch.problem,
                  .cause = "no node of this cluster listens there, or the statement is not good",
                  .next = "name another node with --at HOST:PORT"});
  }
  return FetchedEpochs{.genesis = *fetch.genesis,
                       .after = {fetch.chain.begin() + 1, fetch.chain.end()}};
}

}  // namespace rosebud::client
