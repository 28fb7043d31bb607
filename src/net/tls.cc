#include "net/tls.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/check.h"
#include "net/tls_internal.h"

namespace rosebud::net {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using KeyPointer = std::unique_ptr<EVP_PKEY, Free>;
using CertificatePointer = std::unique_ptr<X509, Free>;

CertificatePointer make_certificate(EVP_PKEY* key) {
  CertificatePointer certificate(X509_new());
  CHECK(certificate != nullptr);
  CHECK(X509_set_version(certificate.get(), X509_VERSION_3) == 1);
  CHECK(ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1) == 1);
  // Validity is judged by admission statements and the configuration, never here.
  CHECK(ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate.get()), "20200101000000Z") == 1);
  CHECK(ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate.get()), "99991231235959Z") == 1);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  const auto* common = reinterpret_cast<const unsigned char*>("rosebud");
  CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, common, -1, -1, 0) == 1);
  CHECK(X509_set_issuer_name(certificate.get(), name) == 1);
  CHECK(X509_set_pubkey(certificate.get(), key) == 1);
  CHECK(X509_sign(certificate.get(), key, nullptr) > 0);
  return certificate;
}

std::optional<crypto::PublicKey> key_in(X509* certificate) {
  EVP_PKEY* key = certificate ? X509_get0_pubkey(certificate) : nullptr;
  if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519) return std::nullopt;
  crypto::PublicKey out;
  std::size_t size = out.bytes.size();
  if (EVP_PKEY_get_raw_public_key(key, out.bytes.data(), &size) != 1 || size != 32)
    return std::nullopt;
  return out;
}

/// Accepts exactly one self-signed Ed25519 certificate; TLS itself proves possession of the key.
int accept_self_signed(X509_STORE_CTX* store, void*) {
  X509* certificate = X509_STORE_CTX_get0_cert(store);
  const bool is_good =
      key_in(certificate) && X509_verify(certificate, X509_get0_pubkey(certificate)) == 1;
  if (!is_good) X509_STORE_CTX_set_error(store, X509_V_ERR_CERT_REJECTED);
  ERR_clear_error();
  return is_good ? 1 : 0;
}

void prepare(boost::asio::ssl::context& context, EVP_PKEY* key, X509* certificate) {
  SSL_CTX* handle = context.native_handle();
  CHECK(SSL_CTX_set_min_proto_version(handle, TLS1_3_VERSION) == 1);
  CHECK(SSL_CTX_use_certificate(handle, certificate) == 1);
  CHECK(SSL_CTX_use_PrivateKey(handle, key) == 1);
  CHECK(SSL_CTX_set_ciphersuites(handle, "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256") ==
        1);
  SSL_CTX_set_verify(handle, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(handle, &accept_self_signed, nullptr);
  // A resumed session would skip the certificate; connections are long-lived anyway.
  SSL_CTX_set_session_cache_mode(handle, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(handle, 0);
  SSL_CTX_set_mode(handle, SSL_MODE_RELEASE_BUFFERS);
}

}  // namespace

TlsContext::TlsContext(const crypto::SecretKey& key) : state_(std::make_unique<State>()) {
  const KeyPointer raw(EVP_PKEY_new_raw_private_key(
      EVP_PKEY_ED25519, nullptr, key.seed().bytes.data(), key.seed().bytes.size()));
  CHECK(raw != nullptr);
  const CertificatePointer certificate = make_certificate(raw.get());
  prepare(state_->server, raw.get(), certificate.get());
  prepare(state_->client, raw.get(), certificate.get());
}

TlsContext::~TlsContext() = default;
TlsContext::TlsContext(TlsContext&&) noexcept = default;

std::optional<crypto::PublicKey> peer_key(const SSL* ssl) {
  const CertificatePointer certificate(SSL_get1_peer_certificate(ssl));
  return key_in(certificate.get());
}

}  // namespace rosebud::net
