// The only file that includes CLI11, which costs seconds to compile.

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <functional>

#include "cli/cli.h"
#include "server/server.h"

namespace belfry::cli {
namespace {

struct ServeOptions {
  std::string config, listen, data;
  bool tls = false;
};

int run_with_config(const ServeOptions& options, ServerMode mode) {
  ConfigSources sources{options.config, process_environment(), {}};
  if (!options.listen.empty()) sources.flags.emplace_back("http.listen", options.listen);
  if (!options.data.empty()) sources.flags.emplace_back("store.path", options.data);
  const auto read = [sources] { return load_config(sources); };
  const LoadedConfig loaded = read();
  for (const auto& problem : loaded.problems)
    std::fprintf(stderr, "belfry: %s: %s\n", problem.where.c_str(), problem.text.c_str());
  if (!loaded.problems.empty()) return exit_config;
  if (mode != ServerMode::serve && !parse_listen(loaded.config.http_listen).value().loopback) {
    std::fprintf(
        stderr,
        "belfry: dev listens on loopback only. Use 'belfry serve -c belfry.toml' for anything else.\n");
    return exit_config;
  }
  return run_server(loaded.config, mode, read);
}

void add_server(CLI::App& command, ServerChoice& server) {
  command.add_option("--url", server.url, "Server")->envname("BELFRY_URL")->capture_default_str();
  command.add_option("--data-dir", server.data, "Data folder of a dev server here, for its key")
      ->capture_default_str();
  command
      .add_option("--token-file,--key-file", server.credentials_file, "File with a token or a backend key")
      ->envname("BELFRY_TOKEN_FILE");
  command.add_option("--ca-file", server.ca_file, "https: certificates (PEM) to trust beside the system's")
      ->envname("BELFRY_CA_FILE");
}

// All commands with their options; each stores what is to be run.
class CommandLine {
 public:
  CommandLine()
      : app_("Belfry takes events from a backend, keeps them, and rings every client at once.", "belfry") {
    app_.require_subcommand(1);
    app_.footer(
        "Examples:\n  belfry dev\n  belfry publish users/ana --type booking.confirmed --data "
        "'{\"booking\":7}'\n"
        "  belfry tail 'users/#'\n  belfry send ana 'Your booking is confirmed'\n  belfry feed "
        "ana\n\n'belfry COMMAND --help' tells more of each.");
    add_running();
    add_talking();
    add_people();
    add_token();
    add_keys();
    add_data();
    add_sources();
    add_config();
  }

  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
      return app_.exit(help);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return app_.exit(error);
      app_.exit(error);
      suggest(argc, argv);
      return exit_usage;
    }
    return action_();
  }

 private:
  void add_running() {
    auto* dev = app_.add_subcommand("dev", "Start a server for development: loopback, no configuration");
    dev->add_option("-c,--config", serve_.config,
                    "Configuration file, for sources and limits; keys are dev's own")
        ->envname("BELFRY_CONFIG");
    dev->add_option("--listen", serve_.listen,
                    "Address and port; port 0 lets the system choose [127.0.0.1:8080]");
    dev->add_option("--data", serve_.data, "Data folder [belfry-data]");
    dev->add_flag("--tls", serve_.tls, "Speak TLS and HTTP/2, with a certificate of its own");
    dev->footer("Example:\n  belfry dev --listen 127.0.0.1:0 --data /tmp/try");
    dev->callback([this] {
      action_ = [this] {
        return run_with_config(serve_, serve_.tls ? ServerMode::dev_tls : ServerMode::dev);
      };
    });
    auto* serve = app_.add_subcommand("serve", "Start a server");
    serve->add_option("-c,--config", serve_.config, "Configuration file")->envname("BELFRY_CONFIG");
    serve->add_option("--listen", serve_.listen, "Instead of http.listen");
    serve->add_option("--data", serve_.data, "Instead of store.path");
    serve->callback([this] { action_ = [this] { return run_with_config(serve_, ServerMode::serve); }; });
  }

  void add_talking() {
    auto* publish = app_.add_subcommand("publish", "Publish one event");
    publish->add_option("topic", publish_.topic, "Topic, such as users/ana")->required();
    publish->add_option("--type", publish_.type, "Event type [message]");
    publish->add_option("--data", publish_.data, "JSON, @FILE, or - for standard input");
    publish->add_option("--key", publish_.key, "A later event of the same topic and key replaces this one");
    publish->add_option("--idempotency-key", publish_.idempotency_key,
                        "The same key within a day is the same event");
    add_server(*publish, publish_.server);
    publish->footer(
        "Example:\n  belfry publish users/ana --type booking.confirmed --data '{\"booking\":7}'");
    publish->callback([this] { action_ = [this] { return run_publish(publish_); }; });
    auto* tail = app_.add_subcommand("tail", "Print events as they happen");
    tail->add_option("patterns", tail_.patterns, "Topics, or patterns with + and #")->required();
    tail->add_option("--since", tail_.since, "A cursor, 'now' or 'earliest' [now]");
    tail->add_option("--type", tail_.types, "Only these types; patterns with + and #");
    tail->add_flag("--json", tail_.json, "One JSON object a line");
    add_server(*tail, tail_.server);
    tail->footer("Example:\n  belfry tail 'bookings/+' --since earliest --json");
    tail->callback([this] { action_ = [this] { return run_tail(tail_); }; });
  }

  void add_people() {
    auto* feed = app_.add_subcommand("feed", "Show a user's feed, newest first, as that user sees it");
    feed->add_option("user", feed_.user, "User id")->required();
    feed->add_option("--status", feed_.status, "active, unread, read or archived [active]");
    feed->add_option("--limit", feed_.limit, "At most so many")->capture_default_str();
    feed->add_flag("--json", feed_.json, "The page as JSON");
    add_server(*feed, feed_.server);
    feed->callback([this] { action_ = [this] { return run_feed(feed_); }; });
    auto* mark = app_.add_subcommand("mark", "Mark notifications of a user's feed");
    mark->add_option("user", mark_.user, "User id")->required();
    mark->add_option("mark", mark_.mark, "read, unread, seen, archived or unarchived")->required();
    mark->add_option("ids", mark_.ids, "Ids of notifications");
    mark->add_option("--upto", mark_.upto, "Everything up to this cursor");
    mark->add_flag("--all", mark_.all, "Everything up to now");
    add_server(*mark, mark_.server);
    mark->footer("Example:\n  belfry mark ana read --all");
    mark->callback([this] { action_ = [this] { return run_mark(mark_); }; });
    auto* follow = app_.add_subcommand("follow", "Let a user follow a topic, or show what is followed");
    follow->add_option("user", follow_.user, "User id")->required();
    follow->add_option("topic", follow_.topic, "Topic; none: show what is followed");
    follow->add_flag("--stop", follow_.stop, "Follow it no more");
    add_server(*follow, follow_.server);
    follow->callback([this] { action_ = [this] { return run_follow(follow_); }; });
    auto* send = app_.add_subcommand("send", "Send a user a notification");
    send->add_option("user", send_.user, "User id")->required();
    send->add_option("text", send_.text, "Its title")->required();
    send->add_option("--body", send_.body, "More words");
    send->add_option("--link", send_.link, "Where it leads");
    send->add_option("--type", send_.type, "Event type")->capture_default_str();
    add_server(*send, send_.server);
    send->footer("Example:\n  belfry send ana 'Your booking is confirmed' --link /bookings/7");
    send->callback([this] { action_ = [this] { return run_send(send_); }; });
  }

  void add_keys() {
    auto* key = app_.add_subcommand("key", "Make or revoke backend keys");
    key->require_subcommand(1);
    auto* create = key->add_subcommand("create", "Make a key; it is shown once");
    create->add_option("name", key_.name, "A word for people, kept beside its hash");
    create->add_option("--data", key_.data, "Data folder of the server")->capture_default_str();
    create->callback([this] { action_ = [this] { return run_key_create(key_); }; });
    auto* revoke = key->add_subcommand("revoke", "A running server refuses it within 2 s");
    revoke->add_option("id", key_.name, "The part between bk_ and the next _")->required();
    revoke->add_option("--data", key_.data, "Data folder of the server")->capture_default_str();
    revoke->add_flag("--keep-scheduled", key_.keep_scheduled,
                     "What it has scheduled is published all the same (for a key that is replaced)");
    revoke->add_flag("--configured", key_.configured,
                     "It stood in auth.backend_key_files: what it has scheduled is not published");
    revoke->callback([this] { action_ = [this] { return run_key_revoke(key_); }; });
  }

  void add_data() {
    auto* backup = app_.add_subcommand("backup", "Copy all data into one file, while the server runs");
    backup->add_option("file", data_.file, "File to write; it must not exist")->required();
    backup->add_option("--data", data_.data, "Data folder of the server")->capture_default_str();
    backup->callback([this] { action_ = [this] { return run_backup(data_); }; });
    auto* restore = app_.add_subcommand("restore", "Put a backup in place; the server must be stopped");
    restore->add_option("file", data_.file, "A backup")->required();
    restore->add_option("--data", data_.data, "Data folder of the server")->capture_default_str();
    restore->callback([this] { action_ = [this] { return run_restore(data_); }; });
    auto* check = app_.add_subcommand("check", "Tell whether the data are whole");
    check->add_option("--data", data_.data, "Data folder of the server")->capture_default_str();
    check->callback([this] { action_ = [this] { return run_check(data_); }; });
    auto* doctor = app_.add_subcommand("doctor", "Examine a server, its data and this machine");
    doctor->add_option("-c,--config", doctor_.config, "Configuration file")->envname("BELFRY_CONFIG");
    add_server(*doctor, doctor_.server);
    doctor->callback([this] { action_ = [this] { return run_doctor(doctor_); }; });
  }

  void add_sources() {
    auto* source = app_.add_subcommand("source", "What brings events in: databases, Kafka, MQTT, webhooks");
    source->require_subcommand(1);
    auto* install = source->add_subcommand("install", "Put into a database what a source needs there");
    install->add_option("kind", source_.kind, "postgres")->required()->check(CLI::IsMember({"postgres"}));
    install->add_option("--url", source_.url, "postgres://user@host/database")
        ->envname("BELFRY_DATABASE_URL");
    install->add_option("--schema", source_.schema, "Schema to make")->capture_default_str();
    install->add_flag("--print", source_.print, "Print the SQL; change nothing");
    install->callback([this] { action_ = [this] { return run_source_install(source_); }; });
    auto* test =
        source->add_subcommand("test", "Print the events that a sample would become; nothing is stored");
    test->add_option("name", source_.name, "Name of the source")->required();
    test->add_option("--sample", source_.sample, "JSON, or one a line: FILE, or - for standard input")
        ->required();
    test->add_option("-c,--config", source_.config, "Configuration file")->envname("BELFRY_CONFIG");
    test->footer("Example:\n  belfry source test orders --sample order.json -c belfry.toml");
    test->callback([this] { action_ = [this] { return run_source_test(source_); }; });
    auto* status = source->add_subcommand("status", "State, position, lag and errors of all sources");
    status->add_flag("--json", source_.json, "As JSON");
    add_server(*status, source_.server);
    status->callback([this] { action_ = [this] { return run_source_status(source_); }; });
    auto* dead = source->add_subcommand("dead", "Records that could not become an event, newest first");
    dead->add_option("name", source_.name, "Name of the source")->required();
    dead->add_option("--data", source_.data, "Data folder of the server")->capture_default_str();
    dead->add_option("--limit", source_.limit, "At most so many")->capture_default_str();
    dead->callback([this] { action_ = [this] { return run_source_dead(source_); }; });
    auto* reset =
        source->add_subcommand("reset", "Forget its position: it begins as its configuration says");
    reset->add_option("name", source_.name, "Name of the source")->required();
    add_server(*reset, source_.server);
    reset->callback([this] { action_ = [this] { return run_source_reset(source_); }; });
  }

  void add_token() {
    auto* token = app_.add_subcommand("token", "Make a token for a user");
    token->add_option("--user", token_.user, "User id")->required();
    token->add_option("--subscribe", token_.subscribe,
                      "Pattern the user may listen to; repeatable [users/<user>]");
    token->add_option("--publish", token_.publish, "Pattern the user may publish to; repeatable");
    token->add_option("--ttl", token_.ttl, "How long it is valid: 90s, 15m, 1h, 7d")->capture_default_str();
    token->add_option("--data", token_.data, "Data folder of a dev server, for its secret")
        ->capture_default_str();
    token->add_option("--secret-file", token_.secret_file, "File with the secret, instead");
    token->footer(
        "Example:\n  belfry token --user ana --subscribe users/ana --subscribe 'bookings/+' --ttl 1h");
    token->callback([this] { action_ = [this] { return run_token(token_); }; });
  }

  void add_config() {
    auto* config = app_.add_subcommand("config", "Check or show the configuration");
    config->require_subcommand(1);
    auto* check = config->add_subcommand("check", "Tell every problem, with its place");
    check->add_option("-c,--config", serve_.config, "Configuration file")->envname("BELFRY_CONFIG");
    check->callback([this] { action_ = [this] { return run_config_check(serve_.config); }; });
    auto* show = config->add_subcommand("show", "Every value, and where it comes from");
    show->add_option("-c,--config", serve_.config, "Configuration file")->envname("BELFRY_CONFIG");
    show->callback([this] { action_ = [this] { return run_config_show(serve_.config); }; });
    auto* version = app_.add_subcommand("version", "Print the version");
    version->add_flag("--json", version_json_, "As JSON");
    version->callback([this] { action_ = [this] { return run_version(version_json_); }; });
  }

  void suggest(int argc, char** argv) const {
    if (argc < 2) return;
    std::vector<std::string> names;
    for (const auto* command : app_.get_subcommands({})) names.push_back(command->get_name());
    if (std::find(names.begin(), names.end(), argv[1]) != names.end()) return;
    const std::string near = nearest(argv[1], names);
    if (!near.empty()) std::fprintf(stderr, "Did you mean 'belfry %s'?\n", near.c_str());
  }

  CLI::App app_;
  ServeOptions serve_;
  PublishCommand publish_;
  TailCommand tail_;
  TokenCommand token_;
  FeedCommand feed_;
  MarkWords mark_;
  FollowWords follow_;
  SendCommand send_;
  KeyCommand key_;
  DataCommand data_;
  DoctorCommand doctor_;
  SourceCommand source_;
  bool version_json_ = false;
  std::function<int()> action_;
};

}  // namespace

int run_command_line(int argc, char** argv) { return CommandLine().run(argc, argv); }

}  // namespace belfry::cli
