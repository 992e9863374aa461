#include "base/log_line.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace belfry {
namespace {

constexpr std::size_t kFieldBytesMax = 256;
bool json_lines = false;  // set once by log_start, before other threads exist

void append_escaped(std::string& out, std::string_view text) {
  for (unsigned char c : text.substr(0, kFieldBytesMax)) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20 || c >= 0x7f) {
      out += fmt::format("\\u{:04x}", c);
    } else {
      out += static_cast<char>(c);
    }
  }
}

void write_line(spdlog::level::level_enum level, std::string_view message,
                std::initializer_list<LogField> fields) {
  auto* logger = spdlog::default_logger_raw();
  if (!logger->should_log(level)) return;
  std::string line;
  append_escaped(line, message);
  if (json_lines) {
    line = "\"msg\":\"" + line + "\"";
    for (const auto& field : fields) {
      line += ",\"";
      line += field.name;
      line += "\":\"";
      append_escaped(line, field.value);
      line += '"';
    }
  } else {
    for (const auto& field : fields) {
      line += ' ';
      line += field.name;
      line += '=';
      append_escaped(line, field.value);
    }
  }
  logger->log(level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void log_start(LogFormat format, std::string_view level) {
  json_lines = format == LogFormat::json || (format == LogFormat::automatic && isatty(2) == 0);
  auto logger = spdlog::stderr_color_mt("belfry");
  logger->set_level(spdlog::level::from_str(std::string(level)));
  logger->set_pattern(json_lines ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"
                                 : "%H:%M:%S.%e %^%l%$ %v");
  spdlog::set_default_logger(std::move(logger));
}

void log_debug(std::string_view message, std::initializer_list<LogField> fields) {
  write_line(spdlog::level::debug, message, fields);
}
void log_info(std::string_view message, std::initializer_list<LogField> fields) {
  write_line(spdlog::level::info, message, fields);
}
void log_warn(std::string_view message, std::initializer_list<LogField> fields) {
  write_line(spdlog::level::warn, message, fields);
}
void log_error(std::string_view message, std::initializer_list<LogField> fields) {
  write_line(spdlog::level::err, message, fields);
}

}  // namespace belfry
