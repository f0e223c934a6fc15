// Arguments of filters, tests, methods and functions: matched with their parameters, and read with one clear error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/jinja/context.h"
#include "engine/text/jinja/object.h"

namespace colonnade::engine::jinja {

/// What a native function takes. `parameters` are names with spaces between them ("width first blank"), of which the
/// first `required` must be given; "*" takes anything, to be read from Bound::all().
struct Signature {
  std::string_view name;
  std::string_view parameters;
  int required = 0;
};

/// Arguments in the order of a signature's parameters.
class Bound {
 public:
  Bound(Context& context, const Signature& signature, Arguments& all);

  Arguments& all() const { return all_; }
  /// nullptr when it was not given.
  const Value* find(std::size_t i) const { return i < values_.size() && values_[i] ? &*values_[i] : nullptr; }
  /// As find, but None counts as not given.
  const Value* find_some(std::size_t i) const;
  const Value& at(std::size_t i) const { return *values_[i]; }  // a required one
  std::int64_t integer(std::size_t i, std::int64_t otherwise) const;
  bool boolean(std::size_t i, bool otherwise) const;
  /// A string argument; the empty text when not given and `otherwise` is null.
  const MarkedText& string(std::size_t i, const MarkedText* otherwise = nullptr) const;

 private:
  std::string name_of(std::size_t i) const;

  const Signature& signature_;
  Arguments& all_;
  std::vector<std::optional<Value>> values_;
};

/// "replace() must be ..." in one place: fails with what the function wanted and what it got.
[[noreturn]] void fail_argument(std::string_view function, std::string_view argument, std::string_view expected, const Value& found);

}  // namespace colonnade::engine::jinja
