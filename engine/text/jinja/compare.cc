#include "engine/text/jinja/compare.h"

#include <cmath>
#include <functional>

#include "engine/base/format_text.h"
#include "engine/text/jinja/error.h"
#include "engine/text/jinja/letters.h"

namespace colonnade::engine::jinja {
namespace {

bool is_tuple(const Sequence& sequence) {
  return sequence.type == Sequence::Type::kTuple || sequence.type == Sequence::Type::kGroup;
}

/// Whether two sequences are of types that can be equal.
bool comparable(const Sequence& a, const Sequence& b) { return (is_tuple(a) && is_tuple(b)) || a.type == b.type; }

bool numbers_equal(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return a.as_integer() == b.as_integer();
  return a.as_real() == b.as_real();
}

std::size_t mix(std::size_t seed, std::size_t hash) {
  // boost::hash_combine's constants.
  return seed ^ (hash + 0x9e3779b97f4a7c15u + (seed << 6) + (seed >> 2));
}

}  // namespace

bool equals(Context& context, const Value& a, const Value& b) {
  context.budget.step();
  if (a.is_number() && b.is_number()) return numbers_equal(a, b);
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kNone:
    case Kind::kUndefined: return true;
    case Kind::kString: return a.as_text().bytes() == b.as_text().bytes();
    case Kind::kSequence: {
      const Sequence &left = *a.as_sequence(), &right = *b.as_sequence();
      if (&left == &right) return true;
      if (!comparable(left, right) || left.items.size() != right.items.size()) return false;
      for (std::size_t i = 0; i < left.items.size(); ++i)
        if (!equals(context, left.items[i], right.items[i])) return false;
      return true;
    }
    case Kind::kDict: {
      const Dict &left = a.as_dict(), &right = b.as_dict();
      if (&left == &right) return true;
      if (left.entries.size() != right.entries.size()) return false;
      for (const Dict::Entry& entry : left.entries) {
        const Value* other = find_key(context, right, entry.first);
        if (other == nullptr || !equals(context, entry.second, *other)) return false;
      }
      return true;
    }
    default: return a.same_as(b);
  }
}

bool less(Context& context, const Value& a, const Value& b, const char* symbol) {
  context.budget.step();
  if (a.is_number() && b.is_number()) {
    if (a.is_integer() && b.is_integer()) return a.as_integer() < b.as_integer();
    return a.as_real() < b.as_real();
  }
  // The order of UTF-8's bytes is that of code points.
  if (a.is_string() && b.is_string()) return a.as_text().bytes() < b.as_text().bytes();
  if (a.is(Kind::kSequence) && b.is(Kind::kSequence)) {
    const Sequence &left = *a.as_sequence(), &right = *b.as_sequence();
    const bool ordered = is_tuple(left) || left.type == Sequence::Type::kList;
    if (ordered && comparable(left, right)) {
      for (std::size_t i = 0; i < left.items.size() && i < right.items.size(); ++i)
        if (!equals(context, left.items[i], right.items[i])) return less(context, left.items[i], right.items[i], symbol);
      return left.items.size() < right.items.size();
    }
  }
  if (a.is_undefined()) fail(a.as_undefined().message);
  if (b.is_undefined()) fail(b.as_undefined().message);
  fail(text("'", symbol, "' not supported between instances of '", type_name(a), "' and '", type_name(b), "'"));
}

bool is_hashable(const Value& value) {
  if (value.is(Kind::kDict)) return false;
  if (!value.is(Kind::kSequence)) return true;
  const Sequence& sequence = *value.as_sequence();
  if (is_tuple(sequence)) {
    for (const Value& item : sequence.items)
      if (!is_hashable(item)) return false;
    return true;
  }
  return sequence.type == Sequence::Type::kRange;
}

std::size_t hash_of(Context& context, const Value& value) {
  context.budget.step();
  switch (value.kind()) {
    case Kind::kNone: return 1;
    case Kind::kUndefined: return 2;
    case Kind::kBool:
    case Kind::kInt: return std::hash<std::int64_t>{}(value.as_integer());
    case Kind::kFloat: {
      // Equal numbers have equal hashes.
      const double real = value.as_real();
      if (real == std::floor(real) && std::abs(real) < 0x1p62) return std::hash<std::int64_t>{}(static_cast<std::int64_t>(real));
      return std::hash<double>{}(real);
    }
    case Kind::kString: return std::hash<std::string>{}(value.as_text().bytes());
    case Kind::kSequence: {
      const Sequence& sequence = *value.as_sequence();
      if (!is_tuple(sequence) && sequence.type != Sequence::Type::kRange) break;
      std::size_t hash = 3;
      for (const Value& item : sequence.items) hash = mix(hash, hash_of(context, item));
      return hash;
    }
    case Kind::kIterator: return std::hash<const void*>{}(&value.as_iterator());
    case Kind::kObject: return std::hash<const void*>{}(value.as_object().get());
    default: break;
  }
  fail(text("unhashable type: '", type_name(value), "'"));
}

const Dict::Entry* find_entry(Context& context, const Dict& dict, const Value& key, std::size_t hash) {
  if (dict.index.empty()) {
    for (const Dict::Entry& entry : dict.entries)
      if (equals(context, entry.first, key)) return &entry;
    return nullptr;
  }
  const auto [begin, end] = dict.index.equal_range(hash);
  for (auto found = begin; found != end; ++found) {
    const Dict::Entry& entry = dict.entries[found->second];
    if (equals(context, entry.first, key)) return &entry;
  }
  return nullptr;
}

const Value* find_key(Context& context, const Dict& dict, const Value& key) {
  const Dict::Entry* entry = find_entry(context, dict, key, hash_of(context, key));
  return entry != nullptr ? &entry->second : nullptr;
}

const Value* find_key(const Dict& dict, std::string_view key) {
  const auto is_it = [&](const Dict::Entry& entry) { return entry.first.is_string() && entry.first.as_text().view() == key; };
  if (dict.index.empty()) {
    for (const Dict::Entry& entry : dict.entries)
      if (is_it(entry)) return &entry.second;
    return nullptr;
  }
  const auto [begin, end] = dict.index.equal_range(std::hash<std::string_view>{}(key));
  for (auto found = begin; found != end; ++found)
    if (is_it(dict.entries[found->second])) return &dict.entries[found->second].second;
  return nullptr;
}

bool contains(Context& context, const Value& container, const Value& item) {
  if (container.is_string()) {
    if (!item.is_string())
      fail(item.is_undefined() ? item.as_undefined().message
                               : text("'in <string>' requires string as left operand, not ", type_name(item)));
    context.budget.step_bytes(container.as_text().size());
    return container.as_text().view().find(item.as_text().view()) != std::string_view::npos;
  }
  if (container.is(Kind::kDict)) return find_key(context, container.as_dict(), item) != nullptr;
  const auto all = items_of(context, container);
  for (const Value& one : all->items)
    if (one.same_as(item) || equals(context, one, item)) return true;
  return false;
}

bool is_iterable(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kString:
    case Kind::kSequence:
    case Kind::kDict:
    case Kind::kIterator: return true;
    default: return false;
  }
}

Items items_of(Context& context, const Value& value) {
  Values items;
  switch (value.kind()) {
    case Kind::kUndefined: break;
    case Kind::kString: {
      const MarkedText& letters = value.as_text();
      for (std::size_t at = 0; at < letters.size();) {
        const std::size_t size = letter_at(letters.view(), at).size;
        items.push_back(context.string(letters.part(at, at + size)));
        at += size;
      }
      break;
    }
    case Kind::kSequence:
      context.budget.step();
      return Items(value.as_sequence());
    case Kind::kDict:
      for (const Dict::Entry& entry : value.as_dict().entries) items.push_back(entry.first);
      break;
    case Kind::kIterator: {
      Iterator& iterator = value.as_iterator();
      const auto& all = iterator.items->items;
      const std::size_t first = std::exchange(iterator.next, all.size());
      if (first == 0) return Items(iterator.items);
      items.assign(all.begin() + static_cast<std::ptrdiff_t>(first), all.end());
      break;
    }
    default: fail(text("'", type_name(value), "' object is not iterable"));
  }
  return Items(context.list(std::move(items)).as_sequence());
}

}  // namespace colonnade::engine::jinja
