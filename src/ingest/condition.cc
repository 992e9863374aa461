#include "ingest/condition.h"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "ingest/path.h"

namespace belfry::ingest {
namespace json = boost::json;

namespace {

constexpr int kDepthMax = 32;

struct Operand {
  std::optional<Path> path;
  json::value literal;

  const json::value* in(const json::value& record) const {
    if (path) return path->in(record);
    return literal.is_null() ? nullptr : &literal;
  }
};

enum class Compare { equal, unequal, less, less_equal, greater, greater_equal };

}  // namespace

struct Condition::Node {
  enum class Kind { both, either, negation, comparison, membership, truth } kind = Kind::truth;
  std::vector<std::unique_ptr<Node>> children{};
  Operand left{};
  Compare compare = Compare::equal;
  std::vector<Operand> right{};
};

namespace {

using Node = Condition::Node;
using NodePtr = std::unique_ptr<Node>;

std::optional<double> number_of(const json::value& value) {
  if (value.is_int64()) return static_cast<double>(value.get_int64());
  if (value.is_uint64()) return static_cast<double>(value.get_uint64());
  if (value.is_double()) return value.get_double();
  if (const auto* text = value.if_string(); text != nullptr && !text->empty()) {
    double number = 0;
    const char* end = text->data() + text->size();
    const auto parsed = std::from_chars(text->data(), end, number);
    if (parsed.ec == std::errc{} && parsed.ptr == end && std::isfinite(number)) return number;
  }
  return {};
}

bool compare(const json::value* left, Compare how, const json::value* right) {
  if (left == nullptr || right == nullptr) {
    const bool same = left == right;
    return how == Compare::equal ? same : how == Compare::unequal && !same;
  }
  const bool texts = left->is_string() && right->is_string();
  const auto a = texts ? std::nullopt : number_of(*left), b = texts ? std::nullopt : number_of(*right);
  int order = 0;
  if (a && b) {
    order = *a < *b ? -1 : *a > *b;
  } else {
    order = text_of(*left).compare(text_of(*right));
  }
  switch (how) {
    case Compare::equal:
      return order == 0;
    case Compare::unequal:
      return order != 0;
    case Compare::less:
      return order < 0;
    case Compare::less_equal:
      return order <= 0;
    case Compare::greater:
      return order > 0;
    case Compare::greater_equal:
      return order >= 0;
  }
  return false;
}

bool is_true(const json::value* value) {
  if (value == nullptr) return false;
  if (value->is_bool()) return value->get_bool();
  if (value->is_string()) return !value->get_string().empty();
  const auto number = number_of(*value);
  return !number || *number != 0;
}

bool holds(const Node& node, const json::value& record) {
  using Kind = Node::Kind;
  switch (node.kind) {
    case Kind::both:
      for (const auto& child : node.children)
        if (!holds(*child, record)) return false;
      return true;
    case Kind::either:
      for (const auto& child : node.children)
        if (holds(*child, record)) return true;
      return false;
    case Kind::negation:
      return !holds(*node.children[0], record);
    case Kind::comparison:
      return compare(node.left.in(record), node.compare, node.right[0].in(record));
    case Kind::membership:
      for (const Operand& one : node.right)
        if (compare(node.left.in(record), Compare::equal, one.in(record))) return true;
      return false;
    case Kind::truth:
      return is_true(node.left.in(record));
  }
  return false;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), whole_(text.size()) {}

  Result<NodePtr> whole() {
    auto node = either(0);
    if (!node) return node;
    skip_spaces(text_);
    if (!text_.empty()) return wrong("Something is left over.");
    return node;
  }

 private:
  Error wrong(const std::string& why) const {
    return fail(Code::config_invalid,
                why + " (at character " + std::to_string(whole_ - text_.size() + 1) + ")");
  }

  // A word that no letter continues.
  bool take_word(std::string_view word) {
    skip_spaces(text_);
    if (!text_.starts_with(word)) return false;
    const char next = text_.size() > word.size() ? text_[word.size()] : ' ';
    if (next != ' ' && next != '(' && next != ')' && next != ',' && next != '\n' && next != '\t')
      return false;
    text_.remove_prefix(word.size());
    return true;
  }

  template <class Next>
  Result<NodePtr> chain(Node::Kind kind, std::string_view word, Next next) {
    NodePtr first = TRY(next());
    if (!take_word(word)) return first;
    auto node = std::make_unique<Node>();
    node->kind = kind;
    node->children.push_back(std::move(first));
    do {
      node->children.push_back(TRY(next()));
    } while (take_word(word));
    return node;
  }

  Result<NodePtr> either(int depth) {
    return chain(Node::Kind::either, "or", [&] { return both(depth); });
  }
  Result<NodePtr> both(int depth) {
    return chain(Node::Kind::both, "and", [&] { return term(depth); });
  }

  Result<NodePtr> term(int depth) {
    if (depth > kDepthMax) return wrong("It is nested too deeply.");
    if (take_word("not")) {
      auto node = std::make_unique<Node>();
      node->kind = Node::Kind::negation;
      node->children.push_back(TRY(term(depth + 1)));
      return node;
    }
    skip_spaces(text_);
    if (take(text_, "(")) {
      NodePtr inner = TRY(either(depth + 1));
      skip_spaces(text_);
      if (!take(text_, ")")) return wrong("A bracket is not closed.");
      return inner;
    }
    return comparison();
  }

  Result<NodePtr> comparison() {
    auto node = std::make_unique<Node>();
    node->left = TRY(operand());
    skip_spaces(text_);
    if (take_word("in")) {
      node->kind = Node::Kind::membership;
      skip_spaces(text_);
      if (!take(text_, "(")) return wrong("After in comes a list in brackets.");
      do {
        node->right.push_back(TRY(operand()));
        skip_spaces(text_);
      } while (take(text_, ","));
      if (!take(text_, ")")) return wrong("A bracket is not closed.");
      return node;
    }
    constexpr std::array<std::pair<std::string_view, Compare>, 6> kSigns{{{"==", Compare::equal},
                                                                          {"!=", Compare::unequal},
                                                                          {"<=", Compare::less_equal},
                                                                          {">=", Compare::greater_equal},
                                                                          {"<", Compare::less},
                                                                          {">", Compare::greater}}};
    for (const auto& [sign, how] : kSigns) {
      if (!take(text_, sign)) continue;
      node->kind = Node::Kind::comparison;
      node->compare = how;
      node->right.push_back(TRY(operand()));
      return node;
    }
    if (text_.starts_with('=')) return wrong("To compare, write ==.");
    return node;
  }

  Result<Operand> operand() {
    skip_spaces(text_);
    Operand out;
    if (text_.starts_with('\'')) {
      auto text = read_quoted(text_);
      if (!text) return wrong(text.error().detail);
      out.literal = json::value(text.value());
      return out;
    }
    if (take_word("true")) return Operand{{}, json::value(true)};
    if (take_word("false")) return Operand{{}, json::value(false)};
    if (take_word("null")) return out;
    if (const auto number = literal_number()) return Operand{{}, json::value(*number)};
    auto path = Path::read(text_);
    if (!path) return wrong("A name, a number or a text in quotes (') is expected.");
    out.path = std::move(path).value();
    return out;
  }

  std::optional<double> literal_number() {
    if (text_.empty() || (text_[0] != '-' && (text_[0] < '0' || text_[0] > '9'))) return {};
    double number = 0;
    const auto parsed = std::from_chars(text_.data(), text_.data() + text_.size(), number);
    if (parsed.ec != std::errc{}) return {};
    text_.remove_prefix(static_cast<std::size_t>(parsed.ptr - text_.data()));
    return number;
  }

  std::string_view text_;
  const std::size_t whole_;
};

}  // namespace

Condition::Condition() = default;
Condition::~Condition() = default;
Condition::Condition(Condition&&) noexcept = default;
Condition& Condition::operator=(Condition&&) noexcept = default;

Result<Condition> Condition::parse(std::string_view text) {
  Condition out;
  out.root_ = TRY(Parser(text).whole());
  return out;
}

bool Condition::holds(const json::value& record) const { return !root_ || ingest::holds(*root_, record); }

}  // namespace belfry::ingest
