#include "net/certificate.h"

#include <openssl/pem.h>

#include "net/openssl.h"

namespace belfry::net {
namespace {

std::string text_of(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  return {bytes, static_cast<std::size_t>(size)};
}

bool add_extension(X509* certificate, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) {
    const bool address =
        name.find_first_not_of("0123456789.") == std::string::npos || name.find(':') != std::string::npos;
    out += (out.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + name;
  }
  return out;
}

}  // namespace

Result<PemPair> make_certificate(const std::vector<std::string>& names, Timestamp now, int days) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertificatePtr certificate(X509_new());
  CHECK(key && certificate);
  X509* made = certificate.get();
  X509_set_version(made, 2);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(made), random_u64() >> 1);
  std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(now.value).count();
  X509_time_adj_ex(X509_getm_notBefore(made), -1, 0, &seconds);
  X509_time_adj_ex(X509_getm_notAfter(made), days, 0, &seconds);
  X509_set_pubkey(made, key.get());
  X509_NAME* subject = X509_get_subject_name(made);
  const auto* common = reinterpret_cast<const unsigned char*>("Belfry, for development");
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, common, -1, -1, 0);
  X509_set_issuer_name(made, subject);
  const bool good = add_extension(made, NID_basic_constraints, "critical,CA:TRUE") &&
                    add_extension(made, NID_subject_alt_name, alternative_names(names)) &&
                    add_extension(made, NID_ext_key_usage, "serverAuth") &&
                    X509_sign(made, key.get(), EVP_sha256()) > 0;
  if (!good) return fail(Code::config_invalid, "The certificate could not be made for these names.");
  const BioPtr certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509(certificate_text.get(), made) == 1);
  CHECK(PEM_write_bio_PKCS8PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) ==
        1);
  return PemPair{text_of(certificate_text.get()), text_of(key_text.get())};
}

std::string certificate_fingerprint(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (!certificate || X509_digest(certificate.get(), EVP_sha256(), digest, &size) != 1) return {};
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    if (i > 0) out += ':';
    out += kHex[digest[i] >> 4];
    out += kHex[digest[i] & 15];
  }
  return out;
}

}  // namespace belfry::net
