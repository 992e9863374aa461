#pragma once
// The command line: what each command does, apart from how its words are read (command_line.cc).
//
// stdout is data, stderr is messages. Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration not valid, 4
// server not reached, 5 credentials refused, 74 the store failed, 130 interrupted.

#include <string>
#include <vector>

#include "base/base.h"

namespace belfry::cli {

inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_usage = 2;
inline constexpr int exit_config = 3;
inline constexpr int exit_unreachable = 4;
inline constexpr int exit_refused = 5;

struct ServerChoice {
  std::string url = "http://127.0.0.1:8080";
  std::string data = "belfry-data";  // of a dev server on this machine: where its key is found
  std::string credentials_file;      // a token or a backend key; empty: <data>/backend_key
  std::string ca_file;  // certificates to trust; empty: <data>/dev_certificate.pem, if it is there
};

struct PublishCommand {
  ServerChoice server;
  std::string topic, type, data, key, idempotency_key;  // data: JSON, @file, or - for standard input
};

struct TailCommand {
  ServerChoice server;
  std::vector<std::string> patterns, types;
  std::string since;
  bool json = false;
};

struct TokenCommand {
  std::string user, ttl = "1h", data = "belfry-data", secret_file;
  std::vector<std::string> subscribe, publish;
};

struct FeedCommand {
  ServerChoice server;
  std::string user, status;
  unsigned limit = 20;
  bool json = false;
};

struct MarkWords {
  ServerChoice server;
  std::string user, mark, upto;
  std::vector<std::string> ids;
  bool all = false;
};

struct FollowWords {
  ServerChoice server;
  std::string user, topic;  // no topic: tell what is followed
  bool stop = false;
};

struct SendCommand {
  ServerChoice server;
  std::string user, text, body, link, type = "message";
};

struct KeyCommand {
  std::string data = "belfry-data", name;
  bool keep_scheduled = false, configured = false;  // of revoke
};

struct DataCommand {
  std::string data = "belfry-data", file;
};

struct DoctorCommand {
  ServerChoice server;
  std::string config;
};

struct SourceCommand {
  ServerChoice server;
  std::string name, config, sample, url, schema = "belfry", kind;
  std::string data = "belfry-data";
  unsigned limit = 20;
  bool json = false, print = false;
};

int run_source_install(const SourceCommand& command);
int run_source_test(const SourceCommand& command);
int run_source_status(const SourceCommand& command);
int run_source_dead(const SourceCommand& command);
int run_source_reset(const SourceCommand& command);
int run_feed(const FeedCommand& command);
int run_mark(const MarkWords& command);
int run_follow(const FollowWords& command);
int run_send(const SendCommand& command);
int run_key_create(const KeyCommand& command);
int run_key_revoke(const KeyCommand& command);
int run_backup(const DataCommand& command);
int run_restore(const DataCommand& command);
int run_check(const DataCommand& command);
int run_doctor(const DoctorCommand& command);
int run_publish(const PublishCommand& command);
int run_tail(const TailCommand& command);
int run_token(const TokenCommand& command);
int run_config_check(const std::string& file);
int run_config_show(const std::string& file);
int run_version(bool json);

// Prints the error and gives the exit code that fits it.
int tell(const Error& error);

// Reads the words, runs the command, gives the exit code.
int run_command_line(int argc, char** argv);

}  // namespace belfry::cli
