// etcd through its own protocol: gRPC, one connection to each member, the records shared out over
// them. Writes are committed by Raft and synced by a majority; reads are linearizable.
#include <grpcpp/grpcpp.h>

#include <thread>

#include "driver.h"
#include "etcd.grpc.pb.h"

namespace rosebud::peers {
namespace {

/// A request under way; the completion queue gives it back when its answer is there.
class Request {
 public:
  explicit Request(load::Ended ended) : ended_(std::move(ended)) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  }
  virtual ~Request() = default;
  void end() { ended_(status_.ok() ? failure() : std::string_view("rpc_failed")); }

 protected:
  /// Of an answer that came.
  virtual std::string_view failure() const = 0;

  grpc::ClientContext context_;
  grpc::Status status_;

 private:
  load::Ended ended_;
};

template <typename Response>
class Call : public Request {
 public:
  using Request::Request;
  /// `prepare` is PrepareAsyncPut or PrepareAsyncRange of a stub.
  template <typename Prepare>
  void begin(const Prepare& prepare) {
    reader_ = prepare(&context_);
    reader_->StartCall();
    reader_->Finish(&response_, &status_, this);
  }

 private:
  std::string_view failure() const override {
    if constexpr (std::is_same_v<Response, etcdserverpb::RangeResponse>) {
      return response_.kvs_size() == 1 ? "" : "not_found";
    } else {
      return "";
    }
  }

  Response response_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader_;
};

class Etcd : public System {
 public:
  explicit Etcd(const Options& options) : answers_([this] { take_answers(); }) {
    for (const auto port : options.ports) {
      const auto channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(port),
                                               grpc::InsecureChannelCredentials());
      const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(20);
      if (!channel->WaitForConnected(deadline)) {
        stop();
        throw Failure{"no connection to port " + std::to_string(port)};
      }
      members_.push_back(etcdserverpb::KV::NewStub(channel));
    }
  }
  ~Etcd() override { stop(); }

  void write(std::size_t record, Bytes value, load::Ended ended) override {
    etcdserverpb::PutRequest request;
    request.set_key(key_of(record));
    request.set_value(value.data(), value.size());
    auto* call = new Call<etcdserverpb::PutResponse>(std::move(ended));
    call->begin([&](grpc::ClientContext* context) {
      return member_of(record).PrepareAsyncPut(context, request, &queue_);
    });
  }

  void read(std::size_t record, load::Ended ended) override {
    etcdserverpb::RangeRequest request;
    request.set_key(key_of(record));
    auto* call = new Call<etcdserverpb::RangeResponse>(std::move(ended));
    call->begin([&](grpc::ClientContext* context) {
      return member_of(record).PrepareAsyncRange(context, request, &queue_);
    });
  }

 private:
  static std::string key_of(std::size_t record) { return "record-" + std::to_string(record); }
  etcdserverpb::KV::Stub& member_of(std::size_t record) {
    return *members_[record % members_.size()];
  }

  void take_answers() {
    void* tag = nullptr;
    bool is_ok = false;  // always true of Finish
    while (queue_.Next(&tag, &is_ok)) {
      const std::unique_ptr<Request> request(static_cast<Request*>(tag));
      request->end();
    }
  }

  void stop() {
    queue_.Shutdown();
    answers_.join();
  }

  std::vector<std::unique_ptr<etcdserverpb::KV::Stub>> members_;
  grpc::CompletionQueue queue_;
  std::thread answers_;
};

}  // namespace
}  // namespace rosebud::peers

int main(int argc, char** argv) {
  using namespace rosebud::peers;
  return drive(argc, argv,
               {.open = [](const Options& options) { return std::make_unique<Etcd>(options); }});
}
