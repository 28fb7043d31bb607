// Keys and certificates of TLS 1.3: who is at the other end (design 3.2).
//
// Both sides show a self-signed certificate whose key is their Ed25519 key. There is no authority
// and nothing else in the certificate counts: the caller compares the key with what the
// configuration or an admission statement says.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "crypto/signature.h"

namespace rosebud::net {

/// A TLS context with one key, for any number of connections in both directions. Use on one thread.
class TlsContext {
 public:
  explicit TlsContext(const crypto::SecretKey& key);
  ~TlsContext();
  TlsContext(TlsContext&&) noexcept;

  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

}  // namespace rosebud::net
