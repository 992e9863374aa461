#include "delivery/desk.h"

#include <openssl/evp.h>

#include <algorithm>

#include "wire/wire.h"

namespace belfry {

BodyHash hash_of_body(std::string_view body) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  std::size_t size = 0;
  CHECK(EVP_Q_digest(nullptr, "SHA256", nullptr, body.data(), body.size(), digest, &size) == 1);
  BodyHash hash;
  std::copy_n(digest, hash.size(), hash.begin());
  return hash;
}

std::string answer_of(const Published& published) {
  std::vector<wire::PublishedEvent> events;
  for (const Placed& placed : published.events)
    events.push_back({placed.cursor.offset == 0 ? std::string() : to_text(placed.cursor), placed.topic,
                      placed.seq, placed.scheduled});
  return wire::publish_answer(events, published.replayed);
}

Result<void> Desk::check_load(const Principal& principal, const std::vector<Event>& events) const {
  const Load load = admission_.load();
  if (load == Load::normal) return {};
  const bool of_user = !principal.user.empty();
  const bool ephemeral = std::all_of(events.begin(), events.end(),
                                     [this](const Event& event) { return log_.is_ephemeral(event.topic); });
  if (ephemeral || (of_user && load == Load::critical))
    return admission_.with_retry(fail(Code::overloaded));
  return {};
}

}  // namespace belfry
