#include "net/http_parser.h"

// Beast 1.81 asserts that a last chunk has five bytes when it comes again; without a chunk before it, it
// may have four (test ALastChunkMayComeByteByByte). What it does then is right, so a build with assertions
// need not die of it.
#define BOOST_DISABLE_ASSERTS
#include <array>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

namespace belfry::net {

namespace http = boost::beast::http;

namespace {

Error parse_error(boost::system::error_code code) {
  if (code == http::error::header_limit || code == http::error::buffer_overflow)
    return fail(Code::header_too_large);
  if (code == http::error::body_limit) return fail(Code::body_too_large);
  return fail(Code::bad_request, "Not HTTP/1.1: " + code.message());
}

// Every malformed escape is refused; the rest of the target is what Boost.URL accepts.
Result<std::string> decode(boost::urls::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto value = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
    const char byte = static_cast<char>(value(text[i + 1]) << 4 | value(text[i + 2]));
    if (byte == '\0') return fail(Code::bad_request, "The target holds a NUL.");
    out += byte;
    i += 2;
  }
  if (!is_utf8(out)) return fail(Code::bad_request, "The target is not UTF-8.");
  return out;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return out;
}

Result<void> parse_target(std::string_view target, Request& request) {
  const auto parsed = boost::urls::parse_origin_form({target.data(), target.size()});
  if (!parsed) return fail(Code::bad_request, "The target is malformed.");
  request.path = TRY(decode(parsed->encoded_path()));
  std::string_view rest(parsed->encoded_path().data(), parsed->encoded_path().size());
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the '/'
    const auto end = rest.find('/');
    request.segments.push_back(TRY(decode(rest.substr(0, end))));
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end);
  }
  for (const auto& part : parsed->encoded_params()) {
    if (part.key.empty() && !part.has_value)
      continue;  // "?" and "&&" name nothing (WHATWG URL section 5.1)
    request.query.emplace_back(TRY(decode(part.key)),
                               part.has_value ? TRY(decode(part.value)) : std::string());
  }
  if (request.query.size() > limits::header_fields_max * 2) return fail(Code::too_many_topics);
  return {};
}

namespace {

// A head whose lines another reader might cut elsewhere: obsolete folding, a bare line feed (RFC 9112
// sections 2.2 and 5.2).
Result<void> check_lines(std::string_view head) {
  for (std::size_t at = head.find('\n'); at != std::string_view::npos; at = head.find('\n', at + 1)) {
    const bool bare = at == 0 || head[at - 1] != '\r';
    const bool folded = at + 1 < head.size() && (head[at + 1] == ' ' || head[at + 1] == '\t');
    if (bare || folded) return fail(Code::bad_request, "A line of the head is folded or has no CR.");
  }
  return {};
}

// One length, said in one way and in plain words (RFC 9112 sections 6.1 and 6.3): what two readers could
// understand differently hides a request from one of them.
Result<void> check_length(const Request& request) {
  std::size_t said = 0;
  for (const auto& [name, value] : request.headers) {
    if (name == "content-length") {
      if (value.empty() || value.find_first_not_of("0123456789") != std::string::npos)
        return fail(Code::bad_request, "Content-Length must be a number.");
      ++said;
    } else if (name == "transfer-encoding") {
      if (lower_case(value) != "chunked")
        return fail(Code::bad_request, "The only Transfer-Encoding is chunked.");
      ++said;
    }
  }
  if (said > 1) return fail(Code::bad_request, "Say the length of the body once.");
  return {};
}

}  // namespace

Result<void> check_content(const Request& request) {
  if (request.header("content-encoding").value_or("identity") != "identity")
    return fail(Code::unsupported_media_type, "Compressed bodies are not accepted.");
  return {};
}

struct RequestParser::State {
  http::request_parser<http::string_body> parser;
  std::size_t head_taken = 0;  // bytes of the head
  std::size_t body_taken = 0;  // bytes after it, chunk framing among them
  // Of a chunked request, because Beast adds the trailers to the fields. Apart: every idle connection has a
  // parser, few requests are chunked.
  std::unique_ptr<http::fields> head;
  std::array<char, 2> line_end{};  // the last bytes of the head so far
  std::uint8_t line_end_size = 0;
  bool keep_alive = true;  // as the head says

  // The head first, and then what follows it. `of_head`: how much of what was taken is of the head; left
  // alone if none is.
  std::size_t put(std::string_view bytes, boost::system::error_code& failed, std::size_t& of_head) {
    const auto feed = [&] {
      return parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), failed);
    };
    if (parser.is_header_done()) return feed();
    of_head = feed();
    if (failed || !parser.is_header_done()) return of_head;
    if (parser.chunked()) head = std::make_unique<http::fields>(parser.get().base());
    keep_alive = parser.get().keep_alive();
    parser.eager(true);
    bytes.remove_prefix(of_head);
    return parser.is_done() || bytes.empty() ? of_head : of_head + feed();
  }

  // What was taken of the head, however it comes in pieces.
  // `left`: bytes that were not taken yet.
  Result<void> check_head(std::string_view taken, std::size_t left) {
    head_taken += taken.size();
    // Beast's own limit is of the bytes that it is given at once.
    if (head_taken + (parser.is_header_done() ? 0 : left) > limits::header_bytes_max)
      return fail(Code::header_too_large);
    if (taken.empty()) return {};
    std::string joined;
    if (line_end_size > 0) joined = std::string(line_end.data(), line_end_size).append(taken);
    const std::string_view text = joined.empty() ? taken : joined;
    TRY(check_lines(text));
    line_end_size = static_cast<std::uint8_t>(text.copy(
        line_end.data(), line_end.size(), text.size() - std::min(text.size(), line_end.size())));
    return {};
  }

  // Sizes, extensions and trailers of chunks (RFC 9112 section 7.1): what is not whole yet, which Beast
  // wants to see in one piece, and all of it together, so that a small body does not come in gigabytes.
  Result<void> check_framing(std::size_t left) const {
    if (!parser.is_header_done() || !parser.chunked()) return {};
    const std::size_t body = parser.get().body().size();
    const std::size_t most = limits::chunk_framing_bytes + limits::chunk_framing_ratio * body;
    if (left > limits::chunk_framing_bytes || body_taken > body + most)
      return fail(Code::bad_request, "The framing of the chunks is too long.");
    return {};
  }
};

RequestParser::RequestParser() : state_(std::make_unique<State>()) {
  state_->parser.header_limit(static_cast<std::uint32_t>(limits::header_bytes_max));
  state_->parser.body_limit(limits::body_bytes_max);
}

RequestParser::~RequestParser() = default;
RequestParser::RequestParser(RequestParser&&) noexcept = default;
RequestParser& RequestParser::operator=(RequestParser&&) noexcept = default;

Result<std::size_t> RequestParser::feed(std::string_view bytes) {
  boost::system::error_code failed;
  std::size_t of_head = 0;
  const std::size_t used = state_->put(bytes, failed, of_head);
  TRY(state_->check_head(bytes.substr(0, of_head), bytes.size() - used));
  state_->body_taken += used - of_head;
  if (failed == http::error::need_more) {
    TRY(state_->check_framing(bytes.size() - used));
    return used;
  }
  if (failed) return parse_error(failed);
  TRY(state_->check_framing(0));
  return used;
}

RequestParser::Progress RequestParser::progress() const {
  const auto& parser = state_->parser;
  if (parser.is_done()) return Progress::done;
  return parser.is_header_done() ? Progress::body : Progress::head;
}

bool RequestParser::expects_continue() const {
  return state_->parser.get()[http::field::expect] == "100-continue";
}

bool RequestParser::keep_alive() const { return state_->keep_alive; }

Result<Request> RequestParser::take() {
  auto message = state_->parser.release();
  Request request;
  std::size_t hosts = 0;
  // Trailers are no fields of the head (RFC 9110 section 6.5.1): nothing here knows what to do with one.
  const http::fields& fields = state_->head ? *state_->head : message;
  for (const auto& field : fields) {
    request.headers.emplace_back(lower_case({field.name_string().data(), field.name_string().size()}),
                                 std::string(field.value()));
    hosts += field.name() == http::field::host ? 1u : 0u;
  }
  if (request.headers.size() > limits::header_fields_max) return fail(Code::header_too_large);
  // RFC 9112 section 3.2: exactly one Host; section 6.1: never both lengths.
  if (message.version() == 11 && hosts != 1)
    return fail(Code::bad_request, "Send exactly one Host header.");
  TRY(check_length(request));
  TRY(check_content(request));
  request.method = std::string(message.method_string());
  TRY(parse_target({message.target().data(), message.target().size()}, request));
  request.body = std::move(message.body());
  return request;
}

struct ResponseParser::State {
  http::response_parser<http::string_body> parser;
};

ResponseParser::ResponseParser() : state_(std::make_unique<State>()) {
  state_->parser.header_limit(static_cast<std::uint32_t>(limits::header_bytes_max));
  state_->parser.body_limit(boost::none);
  state_->parser.eager(true);
}

ResponseParser::~ResponseParser() = default;

Result<std::size_t> ResponseParser::feed(std::string_view bytes) {
  boost::system::error_code failed;
  const std::size_t used =
      state_->parser.put(boost::asio::const_buffer(bytes.data(), bytes.size()), failed);
  if (failed && failed != http::error::need_more)
    return fail(Code::connection_failed, "Not an HTTP answer: " + failed.message());
  return used;
}

bool ResponseParser::finish() {
  boost::system::error_code failed;
  state_->parser.put_eof(failed);
  return !failed;
}

bool ResponseParser::head_done() const { return state_->parser.is_header_done(); }
bool ResponseParser::done() const { return state_->parser.is_done(); }

Response ResponseParser::head() const {
  const auto& message = state_->parser.get();
  Response response;
  response.status = static_cast<int>(message.result_int());
  for (const auto& field : message)
    response.headers.emplace_back(lower_case({field.name_string().data(), field.name_string().size()}),
                                  std::string(field.value()));
  return response;
}

std::string ResponseParser::take_body() { return std::exchange(state_->parser.get().body(), {}); }

}  // namespace belfry::net
