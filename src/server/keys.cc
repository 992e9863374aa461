#include "server/keys.h"

#include <curl/curl.h>
#include <pthread.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "base/whole_file.h"
#include "server/data_dir.h"

namespace belfry {
namespace {

constexpr std::string_view kRevoked = "revoked";

// The first two of a line of the key file: an id, and what is known of it.
std::pair<std::string, std::string> words_of(const std::string& line) {
  std::istringstream words(line);
  std::string id, known;
  words >> id >> known;
  return {id, known};
}

Error in_file(Error error, const std::string& file) {
  error.code = Code::config_invalid;
  error.detail = file + ": " + (error.detail.empty() ? std::string(error.message()) : error.detail);
  return error;
}

Result<void> add_pem(Keyring& keyring, const std::string& entry) {
  const auto [name, file] = split_words(entry);
  const auto algorithm = algorithm_of(name);
  if (!name.empty() && !algorithm)
    return fail(Code::config_invalid, "\"" + name + "\" is not an algorithm.", "auth.public_key_files");
  const std::string pem = TRY(read_secret(file));
  auto key = SigningKey::from_pem(pem, algorithm);
  if (!key) return in_file(std::move(key).error(), file);
  keyring.add_key(std::move(key).value());
  return {};
}

std::size_t take(char* data, std::size_t size, std::size_t count, void* into) {
  auto& text = *static_cast<std::string*>(into);
  if (text.size() + size * count > limits::jwks_bytes_max) return 0;
  text.append(data, size * count);
  return size * count;
}

Result<std::string> get(const std::string& url) {
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(), &curl_easy_cleanup);
  std::string text;
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 10L);
  curl_easy_setopt(curl.get(), CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &text);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) return fail(Code::connection_failed, curl_easy_strerror(code));
  return text;
}

}  // namespace

Result<std::vector<Issuer>> issuers_of(const Config& config) {
  std::vector<Issuer> out;
  for (const auto& entry : config.auth_jwks) {
    auto [name, place] = split_words(entry);
    if (name.empty())
      return fail(Code::config_invalid, "\"" + entry + "\" is not an issuer and a file or URL.",
                  "auth.jwks");
    out.push_back({std::move(name), std::move(place)});
  }
  return out;
}

Result<void> load_keys(Keyring& keyring, const Config& config) {
  if (!config.auth_jwt_secret_file.empty()) {
    const std::string secret = TRY(read_secret(config.auth_jwt_secret_file));
    keyring.add_key(TRY(SigningKey::from_secret(secret)));
  }
  for (const auto& entry : config.auth_public_key_files) TRY(add_pem(keyring, entry));
  const auto issuers = TRY(issuers_of(config));
  for (const Issuer& issuer : issuers) {
    if (issuer.remote()) {
      keyring.await_issuer(issuer.name);
      continue;
    }
    const std::string text = TRY(read_secret(issuer.place));
    auto set = parse_jwks(text);
    if (!set) return in_file(std::move(set).error(), issuer.place);
    keyring.set_issuer_keys(issuer.name, std::move(set).value());
  }
  for (const auto& file : config.auth_backend_key_files) {
    const std::string key = TRY(read_secret(file));
    TRY(keyring.add_backend_key(key));
  }
  if (config.auth_jwt_secret_file.empty() && config.auth_public_key_files.empty() && issuers.empty())
    return fail(Code::config_invalid, "A server needs a secret or public keys for its users' tokens.",
                "auth.jwt_secret_file");
  return {};
}

// A file that cannot be read is an error: nobody is to take it for one without keys.
Result<std::vector<std::string>> KeyFile::lines() const {
  std::vector<std::string> out;
  struct stat there{};
  if (::stat(path_.c_str(), &there) != 0 && errno == ENOENT) return out;
  std::ifstream file(path_);
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) out.push_back(line);
  if (!file.is_open() || file.bad()) return file_error("Cannot read", path_);
  return out;
}

Result<void> KeyFile::write(const std::vector<std::string>& lines) const {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return replace_file(path_, text);
}

bool KeyFile::reload(Keyring& keyring) {
  struct stat now{};
  const bool there = ::stat(path_.c_str(), &now) == 0;
  if (!there && !known_) return false;
  const std::array<std::int64_t, 3> seen{
      static_cast<std::int64_t>(now.st_mtim.tv_sec) * 1'000'000'000 + now.st_mtim.tv_nsec,
      static_cast<std::int64_t>(now.st_ino), static_cast<std::int64_t>(now.st_size)};
  if (there && known_ && seen == seen_) return false;
  known_ = there;
  seen_ = seen;
  std::map<std::string, std::string> keys;
  std::set<std::string> revoked;
  const auto all = lines();
  if (!all) {
    // What was known stays known, and it is tried again.
    if (!std::exchange(unreadable_, true)) log_warn("keys", {{"error", all.error().text()}});
    seen_ = {};
    return false;
  }
  unreadable_ = false;
  for (const auto& line : all.value()) {
    const auto [id, hash] = words_of(line);
    if (hash == kRevoked) revoked.insert(id);
    if (auto digest = from_hex(hash); digest && digest->size() == 32) keys[id] = *digest;
  }
  keyring.set_hashed_keys(std::move(keys), std::move(revoked));
  return true;
}

Result<std::string> KeyFile::create(const std::string& comment) {
  const std::string key = make_backend_key();
  const auto lock = TRY(FolderLock::take(folder_));
  auto all = TRY(lines());
  std::string line = std::string(backend_key_id(key)) + " " + sha256_hex(key) + " " + comment;
  std::replace(line.begin(), line.end(), '\n', ' ');
  all.push_back(line);
  TRY(write(all));
  return key;
}

// What was revoked is remembered, whatever the clock says; of very many the oldest go.
Result<bool> KeyFile::revoke(const std::string& id, Scheduling scheduling, Timestamp now) {
  const auto lock = TRY(FolderLock::take(folder_));
  auto all = TRY(lines());
  std::size_t gone = 0, revoked = 0;
  std::erase_if(all, [&](const std::string& line) {
    const auto [name, known] = words_of(line);
    gone += name == id && known != kRevoked ? 1u : 0u;
    revoked += name != id && known == kRevoked ? 1u : 0u;
    return name == id;
  });
  if (gone == 0 && scheduling != Scheduling::dropped_of_any) return false;
  if (scheduling != Scheduling::kept) {
    // The oldest are the first.
    for (auto line = all.begin(); revoked >= limits::revoked_keys_max; --revoked) {
      line = std::find_if(line, all.end(),
                          [](const std::string& one) { return words_of(one).second == kRevoked; });
      line = all.erase(line);
    }
    all.push_back(id + " " + std::string(kRevoked) + " " + std::to_string(now.value.count()));
  }
  TRY(write(all));
  return true;
}

KeyFetcher::KeyFetcher(Keyring& keyring, std::vector<Issuer> issuers, const Clock& clock)
    : keyring_(keyring), clock_(clock), issuers_(std::move(issuers)), thread_([this] { run(); }) {
  pthread_setname_np(thread_.native_handle(), "keys");
}

KeyFetcher::~KeyFetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void KeyFetcher::set_issuers(std::vector<Issuer> issuers) {
  {
    const std::lock_guard lock(mutex_);
    issuers_ = std::move(issuers);
  }
  wake_.notify_one();
}

void KeyFetcher::want(const std::string& issuer) {
  {
    const std::lock_guard lock(mutex_);
    wanted_.insert(issuer);
  }
  wake_.notify_one();
}

void KeyFetcher::run() {
  std::map<std::string, State> states;  // by issuer and place
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const std::set<std::string> wanted = std::exchange(wanted_, {});
    const std::vector<Issuer> issuers = issuers_;
    lock.unlock();
    for (const Issuer& issuer : issuers) {
      State& state = states[issuer.name + ' ' + issuer.place];
      const Instant now = clock_.now();
      const bool due = !state.ever || now - state.tried >= limits::jwks_refresh;
      const bool asked = wanted.contains(issuer.name);
      if ((due || asked) && now - state.tried >= limits::jwks_pause) fetch(issuer, state);
    }
    lock.lock();
    if (!stop_ && wanted_.empty()) wake_.wait_for(lock, std::chrono::seconds(1));
  }
}

// REQUIRES: the lock.
bool KeyFetcher::is_wanted(const Issuer& issuer) const {
  return std::any_of(issuers_.begin(), issuers_.end(), [&](const Issuer& one) {
    return one.name == issuer.name && one.place == issuer.place;
  });
}

void KeyFetcher::fetch(const Issuer& issuer, State& state) {
  state.tried = clock_.now();
  const auto text = get(issuer.place);
  auto set = text ? parse_jwks(text.value()) : Result<JwkSet>(text.error());
  const std::lock_guard lock(mutex_);
  if (!is_wanted(issuer)) return;
  if (set) {
    state.ever = true;
    heard_[issuer.name] = clock_.now();
    log_info("keys", {{"issuer", issuer.name}, {"keys", std::to_string(set.value().keys.size())}});
    return keyring_.set_issuer_keys(issuer.name, std::move(set).value());
  }
  log_warn("keys", {{"issuer", issuer.name}, {"error", set.error().text()}});
  const auto heard = heard_.find(issuer.name);
  if (heard == heard_.end() || clock_.now() - heard->second < limits::jwks_stale_max) return;
  heard_.erase(heard);
  state.ever = false;
  keyring_.await_issuer(issuer.name);
}

}  // namespace belfry
