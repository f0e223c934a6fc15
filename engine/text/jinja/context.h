// What one rendering has: its budget, its clock, and the making of values. Passed to everything that evaluates.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/object.h"
#include "engine/text/jinja/value.h"

namespace colonnade::engine::jinja {

/// Not thread-safe; one per rendering, destroyed after its values.
class Context {
 public:
  Context(const Limits& limits, std::function<std::tm()> clock) : budget(limits), clock_(std::move(clock)) {}
  ~Context() { clear(); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  Value string(MarkedText text, bool markup = false);
  Value string(std::string_view plain) { return string(MarkedText(std::string(plain))); }
  Value list(Values items, Sequence::Type type = Sequence::Type::kList);
  Value tuple(Values items) { return list(std::move(items), Sequence::Type::kTuple); }
  Value range(Values items, std::int64_t start, std::int64_t stop, std::int64_t step);
  /// Of several entries with one key the last value counts, at the place of the first.
  Value dict(std::vector<Dict::Entry> entries);
  Value iterator(Values items, const char* type = "generator");

  template <typename T, typename... Parts>
  std::shared_ptr<T> object(Parts&&... parts) {
    Charge charge(&budget, kObjectBytes);
    auto made = std::make_shared<T>(std::forward<Parts>(parts)...);
    made->charge_ = std::move(charge);
    budget.check_depth(made->depth());
    return made;
  }
  /// Objects that may come to hold each other are cleared at the end.
  void clear_at_end(std::shared_ptr<Object> object) { may_cycle_.push_back(std::move(object)); }
  void clear_at_end(std::function<void()> clear) { clears_.push_back(std::move(clear)); }
  void clear();

  std::tm now() const { return clock_(); }

  Budget budget;
  int line = 1;  // of the node being evaluated

 private:
  static constexpr std::size_t kObjectBytes = 256;

  std::function<std::tm()> clock_;
  std::vector<std::shared_ptr<Object>> may_cycle_;
  std::vector<std::function<void()>> clears_;
};

/// Makes a text piece by piece within the budget.
class TextBuilder {
 public:
  explicit TextBuilder(Context& context) : context_(context), charge_(&context.budget) {}

  void append(const MarkedText& text) { charged(text.size()).append(text); }
  void append(const MarkedText& text, std::size_t begin, std::size_t end) { charged(end - begin).append(text, begin, end); }
  void append_as(std::string_view bytes, const MarkedText& text, std::size_t begin, std::size_t end) {
    charged(bytes.size()).append_as(bytes, text, begin, end);
  }
  void append(std::string_view plain) { charged(plain.size()).append(plain); }
  void append(char plain) { charged(1).append(plain); }
  void repeat(std::string_view plain, std::int64_t times);

  std::size_t size() const { return text_.size(); }
  MarkedText take() { return std::move(text_); }
  Value value(bool markup = false) { return context_.string(std::move(text_), markup); }

 private:
  MarkedText& charged(std::size_t bytes) {
    charge_.add(bytes);
    return text_;
  }

  Context& context_;
  Charge charge_;
  MarkedText text_;
};

}  // namespace colonnade::engine::jinja
