// What values are to each other: truth, length, equality, order, hashes, membership; and what they are called.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "engine/text/jinja/context.h"
#include "engine/text/jinja/value.h"

namespace colonnade::engine::jinja {

/// Python's name of the type: "str", "NoneType", ...
std::string type_name(const Value& value);

/// Python's bool(x).
bool truth(const Value& value);
/// Python's len(x); fails for what has none.
std::int64_t length_of(const Value& value);
bool has_length(const Value& value);

bool equals(Context& context, const Value& a, const Value& b);
/// a < b for sorting and the operators; fails where Python has no order, naming `symbol`.
bool less(Context& context, const Value& a, const Value& b, const char* symbol = "<");
/// Fails for what cannot be a key.
std::size_t hash_of(Context& context, const Value& value);
bool is_hashable(const Value& value);
/// Python's `item in container`.
bool contains(Context& context, const Value& container, const Value& item);

/// nullptr when there is none.
const Dict::Entry* find_entry(Context& context, const Dict& dict, const Value& key, std::size_t hash);
const Value* find_key(Context& context, const Dict& dict, const Value& key);
const Value* find_key(const Dict& dict, std::string_view key);

/// Items that are held while they are looked at: for (const Value& item : items_of(...)).
class Items {
 public:
  explicit Items(std::shared_ptr<const Sequence> sequence) : sequence_(std::move(sequence)) {}

  Values::const_iterator begin() const { return sequence_->items.begin(); }
  Values::const_iterator end() const { return sequence_->items.end(); }
  const Sequence* operator->() const { return sequence_.get(); }
  const std::shared_ptr<const Sequence>& sequence() const { return sequence_; }

 private:
  std::shared_ptr<const Sequence> sequence_;
};

/// All items that iterating gives: characters of a text, keys of a dict. An iterator is used up by it. Fails for what
/// is not iterable.
Items items_of(Context& context, const Value& value);
bool is_iterable(const Value& value);

}  // namespace colonnade::engine::jinja
