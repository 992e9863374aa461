#pragma once
// Where a server's keys come from: files, the file of hashed backend keys, and the key sets that issuers
// publish.

#include <array>
#include <condition_variable>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "api/api.h"
#include "server/config.h"

namespace belfry {

struct Issuer {
  std::string name;
  std::string place;  // a file, or an http or https address
  bool remote() const { return place.starts_with("http://") || place.starts_with("https://"); }
};
Result<std::vector<Issuer>> issuers_of(const Config& config);

// Everything that is in files. Code::config_invalid with the file that is wrong.
Result<void> load_keys(Keyring& keyring, const Config& config);

// The file of hashed backend keys, `<data>/backend_keys`: a line each, `<id> <sha256 in hex> <comment>`, or
// `<id> revoked <milliseconds>` of one that opens nothing, and whose scheduled events are not published.
// Of those the newest limits::revoked_keys_max stay, by their place in the file: no clock counts there.
// Written by `belfry key create` and `revoke`, read again whenever it has changed.
// Two that write at once lose nothing.
class KeyFile {
 public:
  explicit KeyFile(const std::string& data_dir)
      : folder_(data_dir), path_(data_dir + "/backend_keys") {}

  // True if it has changed since the last time; the keyring then knows its keys.
  bool reload(Keyring& keyring);

  // Makes a key, keeps its hash, and gives the key, which is nowhere else.
  Result<std::string> create(const std::string& comment);
  // What becomes of the events that the key has scheduled. dropped_of_any: of a key that is not here, too,
  // because it stands, or stood, in a file of the configuration.
  enum class Scheduling { dropped, dropped_of_any, kept };
  // False if there is no such id.
  Result<bool> revoke(const std::string& id, Scheduling scheduling, Timestamp now);
  // It is there, and could not be read the last time.
  bool is_unreadable() const { return unreadable_; }

 private:
  Result<std::vector<std::string>> lines() const;
  Result<void> write(const std::vector<std::string>& lines) const;

  const std::string folder_;
  const std::string path_;
  std::array<std::int64_t, 3> seen_{};  // time of change, file, size: a clock tick may see two changes
  bool known_ = false;
  bool unreadable_ = false;
};

// keys: fetches the key sets of remote issuers: at the start, every limits::jwks_refresh, and when a token
// names a key that is not known, but never twice within limits::jwks_pause. An issuer that cannot be
// reached keeps its keys for limits::jwks_stale_max. The addresses come from the configuration, never from
// a token.
class KeyFetcher {
 public:
  KeyFetcher(Keyring& keyring, std::vector<Issuer> issuers, const Clock& clock);
  ~KeyFetcher();

  // Any thread: from now on these. No answer of another one is taken once this returns.
  void set_issuers(std::vector<Issuer> issuers);
  // Any thread: a key of this issuer is not known.
  void want(const std::string& issuer);

 private:
  struct State {
    Instant tried{-limits::jwks_pause};
    bool ever = false;  // it has answered
  };
  void run();
  void fetch(const Issuer& issuer, State& state);
  // The answer of an issuer that the configuration does not name any more, or at another place, is none.
  bool is_wanted(const Issuer& issuer) const;

  Keyring& keyring_;
  const Clock& clock_;
  std::mutex mutex_;  // held, too, while an answer is taken into the keyring
  std::vector<Issuer> issuers_;
  // By issuer, wherever it was asked: its last good answer. Of the thread alone.
  std::map<std::string, Instant> heard_;
  std::condition_variable wake_;
  std::set<std::string> wanted_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace belfry
