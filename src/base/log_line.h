#pragma once
// Structured log lines on stderr: text on a terminal, one JSON object a line otherwise. Never a token,
// never a body.
//
//   log_info("listening", {{"address", "127.0.0.1:8080"}});
//
// Thread: any, after log_start. Fields are cut to 256 bytes and escaped, so nothing from outside can forge
// a line.

#include <initializer_list>
#include <string>
#include <string_view>

namespace belfry {

struct LogField {
  std::string_view name;
  std::string value;
};

enum class LogFormat { automatic, text, json };

// Call once from main, before threads start. Without it lines go to stderr as text.
void log_start(LogFormat format, std::string_view level);

void log_debug(std::string_view message, std::initializer_list<LogField> fields = {});
void log_info(std::string_view message, std::initializer_list<LogField> fields = {});
void log_warn(std::string_view message, std::initializer_list<LogField> fields = {});
void log_error(std::string_view message, std::initializer_list<LogField> fields = {});

}  // namespace belfry
