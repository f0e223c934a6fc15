#include "engine/text/jinja/context.h"

#include <algorithm>

#include "engine/text/jinja/compare.h"
#include "engine/text/jinja/error.h"

namespace colonnade::engine::jinja {
namespace {

// From here on a dict has an index: looking through fewer keys is faster.
constexpr std::size_t kIndexedEntries = 9;
// What a value takes beside its bytes: the object, its counters, the allocator's share.
constexpr std::size_t kValueBytes = 64;

int depth_over(const Values& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth + 1;
}

}  // namespace

void Context::clear() {
  for (const auto& clear : clears_) clear();
  // Clearing one may let go of others, but all are held here until each is cleared.
  for (const auto& object : may_cycle_) object->clear();
  clears_.clear();
  may_cycle_.clear();
}

Value Context::string(MarkedText text, bool markup) {
  Charge charge(&budget, text.size() + text.marks().size() * sizeof(ByteRange) + sizeof(String) + kValueBytes);
  return Value(std::make_shared<const String>(String{std::move(text), markup, std::move(charge)}));
}

Value Context::list(Values items, Sequence::Type type) {
  auto sequence = std::make_shared<Sequence>();
  sequence->depth = depth_over(items);
  budget.check_depth(sequence->depth);
  sequence->charge = Charge(&budget, items.size() * sizeof(Value) + sizeof(Sequence) + kValueBytes);
  sequence->items = std::move(items);
  sequence->type = type;
  return Value(std::shared_ptr<const Sequence>(std::move(sequence)));
}

Value Context::range(Values items, std::int64_t start, std::int64_t stop, std::int64_t step) {
  auto sequence = std::make_shared<Sequence>();
  sequence->charge = Charge(&budget, items.size() * sizeof(Value) + sizeof(Sequence) + kValueBytes);
  sequence->items = std::move(items);
  sequence->type = Sequence::Type::kRange;
  sequence->range[0] = start;
  sequence->range[1] = stop;
  sequence->range[2] = step;
  return Value(std::shared_ptr<const Sequence>(std::move(sequence)));
}

Value Context::dict(std::vector<Dict::Entry> entries) {
  auto dict = std::make_shared<Dict>();
  dict->charge = Charge(&budget, entries.size() * (sizeof(Dict::Entry) + 64) + sizeof(Dict) + kValueBytes);
  int depth = 0;
  for (Dict::Entry& entry : entries) {
    depth = std::max({depth, entry.first.depth(), entry.second.depth()});
    const std::size_t hash = hash_of(*this, entry.first);
    if (const Dict::Entry* same = find_entry(*this, *dict, entry.first, hash)) {
      dict->entries[static_cast<std::size_t>(same - dict->entries.data())].second = std::move(entry.second);
      continue;
    }
    dict->entries.push_back(std::move(entry));
    if (dict->entries.size() == kIndexedEntries) {
      for (std::size_t i = 0; i < kIndexedEntries; ++i) dict->index.emplace(hash_of(*this, dict->entries[i].first), i);
    } else if (dict->entries.size() > kIndexedEntries) {
      dict->index.emplace(hash, dict->entries.size() - 1);
    }
  }
  dict->depth = depth + 1;
  budget.check_depth(dict->depth);
  return Value(std::shared_ptr<const Dict>(std::move(dict)));
}

Value Context::iterator(Values items, const char* type) {
  const Value all = list(std::move(items));
  return Value(std::make_shared<Iterator>(Iterator{all.as_sequence(), 0, type}));
}

void TextBuilder::repeat(std::string_view plain, std::int64_t times) {
  if (times <= 0 || plain.empty()) return;
  const auto n = static_cast<std::size_t>(times);
  // More than any budget, and n * size may not fit.
  if (n > SIZE_MAX / 2 / plain.size()) fail("a text of this length is larger than any limit", ErrorCode::kExhausted);
  charge_.add(n * plain.size());
  for (std::size_t i = 0; i < n; ++i) text_.append(plain);
}

}  // namespace colonnade::engine::jinja
