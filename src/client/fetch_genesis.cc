#include "client/fetch_genesis.h"

#include <boost/asio/io_context.hpp>

#include "net/connection.h"
#include "wire/codec.h"
#include "wire/hello.h"

namespace rosebud::client {
namespace {

namespace asio = boost::asio;

/// One connection: hello, question, answer.
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

  std::optional<Bytes> genesis;
  std::string problem = "no answer in time";

 private:
  void take(const Bytes& header, Buffer bulk) {
    if (!std::exchange(is_greeted_, true)) return take_greeting(header);
    auto message = wire::decode(header, std::move(bulk));
    const auto* answer = message ? std::get_if<wire::Answer>(&*message) : nullptr;
    const auto* found = answer ? std::get_if<wire::Descriptions>(&answer->body) : nullptr;
    if (found && !found->descriptions.empty())
      genesis = to_bytes(found->descriptions.front().view());
    end("it does not tell how the cluster began");
  }
  void take_greeting(const Bytes& header) {
    const auto answer = wire::HelloAnswer::decode(header);
    if (!answer) return end("it is no node");
    if (answer->verdict != wire::HelloVerdict::kWelcome)
      return end(std::string(wire::text_of(answer->verdict)));
    wire::EncodedMessage question = wire::encode(wire::Request{.body = wire::GetDescriptions{}});
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

Result<membership::SignedGenesis, Explained> fetch_genesis(const std::string& address,
                                                           const crypto::SecretKey& key,
                                                           const wire::SignedBytes& admission,
                                                           Duration timeout) {
  const auto statement = wire::AdmissionStatement::decode(admission.statement);
  if (!statement) return fail(Explained{.what = "this is no admission statement"});
  asio::io_context io;
  Fetch fetch(io, key, admission, statement->cluster);
  fetch.start(address);
  io.run_for(timeout);
  if (!fetch.genesis) {
    return fail(
        Explained{.what = "cannot learn of the cluster from " + address + ": " + fetch.problem,
                  .cause = "no node of this cluster listens there, or the statement is not "
                           "good",
                  .next = "name another node with --at HOST:PORT"});
  }
  const auto genesis = membership::SignedGenesis::decode(*fetch.genesis);
  if (!genesis || genesis->cluster() != statement->cluster) {
    return fail(Explained{.what = address + " tells of another cluster than the statement names",
                          .cause = "the node there lies, or it is another cluster's",
                          .next = "name another node with --at HOST:PORT",
                          .trouble = Trouble::kIntegrity});
  }
  auto verified = membership::verify_genesis(*genesis, statement->cluster, crypto::ed25519());
  if (!verified) return fail(verified.error());
  return *genesis;
}

}  // namespace rosebud::client
