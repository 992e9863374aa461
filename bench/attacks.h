#pragma once
// What a client may do to its neighbours on a server: one row each of the workload `neighbours`.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "attacker.h"
#include "workloads.h"

namespace belfry::bench {

// A Belfry as in production, on the server's core: with a configuration, and a second backend key.
class AttackedServer {
 public:
  // `settings`: further lines of its configuration, each table with its head.
  AttackedServer(const Options& options, const std::string& settings);
  Target& target() { return *target_; }
  const Target& target() const { return *target_; }
  // A token of the attacker, who may listen to all topics of the attacks.
  std::string attacker_token(int hours = 12) const;
  const std::string& second_key() const { return second_key_; }

  // A request as a backend, or with a credential. Ends the program with a message unless the answer is 2xx.
  std::string call(const std::string& method, const std::string& path, const std::string& body = {},
                   const std::string& credential = {});
  // Publishes all, a thousand at a time; gives their ids.
  std::vector<std::string> publish(std::size_t count,
                                   const std::function<std::string(std::size_t)>& event);
  // Of the notifications that the attacker's feed begins with.
  std::vector<std::string> history;

 private:
  testing::TemporaryFolder folder_;
  std::string secret_, second_key_;
  std::unique_ptr<Target> target_;
};

struct Attack {
  const char* name;
  const char* title;
  const char* settings;                                      // of the server
  void (*prepare)(AttackedServer& server);                   // null: nothing to prepare
  std::vector<Script> (*scripts)(const AttackedServer& server);  // one for each connection
};
const std::vector<Attack>& attacks();

}  // namespace belfry::bench
