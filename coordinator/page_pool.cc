#include "coordinator/page_pool.h"

#include <algorithm>

#include "engine/base/check.h"

namespace colonnade::coordinator {
namespace {

// The finaliser of SplitMix64: every input bit changes about half of the output bits.
std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

PagePool::PagePool(int n_pages, int page_tokens, std::uint64_t hash_seed)
    : page_tokens_(page_tokens),
      root_{mix(hash_seed + 1), mix(hash_seed + 2)},
      pages_(static_cast<std::size_t>(n_pages)),
      tokens_(static_cast<std::size_t>(n_pages) * static_cast<std::size_t>(page_tokens)) {
  COLONNADE_CHECK(n_pages >= 0 && page_tokens > 0, "page pool of impossible size");
  for (std::int32_t page = 0; page < n_pages; ++page) append(page);
}

PagePool::Page& PagePool::at(std::int32_t page) {
  COLONNADE_CHECK(page >= 0 && page < n_pages(), "page id out of range");
  return pages_[static_cast<std::size_t>(page)];
}

void PagePool::append(std::int32_t id) {
  Page& page = at(id);
  List& list = list_of(page);
  page.previous = list.last;
  page.next = kNoPage;
  (list.last == kNoPage ? list.first : at(list.last).next) = id;
  list.last = id;
  if (page.published) ++cached_;
}

void PagePool::prepend(std::int32_t id) {
  Page& page = at(id);
  List& list = list_of(page);
  page.previous = kNoPage;
  page.next = list.first;
  (list.first == kNoPage ? list.last : at(list.first).previous) = id;
  list.first = id;
  if (page.published) ++cached_;
}

void PagePool::unlink(std::int32_t id) {
  Page& page = at(id);
  List& list = list_of(page);
  (page.previous == kNoPage ? list.first : at(page.previous).next) = page.next;
  (page.next == kNoPage ? list.last : at(page.next).previous) = page.previous;
  if (page.published) --cached_;
}

std::optional<std::int32_t> PagePool::allocate() {
  const std::int32_t id = blank_list_.first != kNoPage ? blank_list_.first : cached_list_.first;
  if (id == kNoPage) return std::nullopt;
  unlink(id);
  Page& page = at(id);
  if (page.published) {
    table_.erase(page.hash);
    page.published = false;
  }
  page.references = 1;
  ++used_;
  return id;
}

void PagePool::retain(std::int32_t id) {
  Page& page = at(id);
  COLONNADE_CHECK(page.references > 0, "retain of a free page");
  ++page.references;
}

void PagePool::release(std::int32_t id, bool likely) {
  Page& page = at(id);
  COLONNADE_CHECK(page.references > 0, "release of a free page");
  if (--page.references > 0) return;
  --used_;
  likely ? append(id) : prepend(id);
}

PageHash PagePool::chain(PageHash parent, std::span<const std::int32_t> tokens) const {
  PageHash hash = parent;
  for (const std::int32_t token : tokens) {
    const auto value = static_cast<std::uint64_t>(static_cast<std::uint32_t>(token));
    hash.high = mix(hash.high ^ (value + 0x9e3779b97f4a7c15u));
    hash.low = mix(hash.low + (value << 32 | value) + 0xd1b54a32d192ed03u);
  }
  return hash;
}

bool PagePool::same_tokens(std::int32_t page, std::span<const std::int32_t> tokens) const {
  const auto size = static_cast<std::size_t>(page_tokens_);
  const auto* stored = tokens_.data() + static_cast<std::size_t>(page) * size;
  return tokens.size() == size && std::equal(tokens.begin(), tokens.end(), stored);
}

void PagePool::publish(std::int32_t id, PageHash hash, std::span<const std::int32_t> tokens) {
  Page& page = at(id);
  COLONNADE_CHECK(page.references > 0, "publish of a free page");
  COLONNADE_CHECK(tokens.size() == static_cast<std::size_t>(page_tokens_), "only full pages have a hash");
  if (page.published || !table_.emplace(hash, id).second) return;
  page.published = true;
  page.hash = hash;
  std::copy(tokens.begin(), tokens.end(),
            tokens_.begin() + static_cast<std::ptrdiff_t>(id) * static_cast<std::ptrdiff_t>(page_tokens_));
}

bool PagePool::holds(PageHash hash, std::span<const std::int32_t> tokens) const {
  const auto found = table_.find(hash);
  return found != table_.end() && same_tokens(found->second, tokens);
}

std::optional<std::int32_t> PagePool::find(PageHash hash, std::span<const std::int32_t> tokens) {
  const auto found = table_.find(hash);
  if (found == table_.end() || !same_tokens(found->second, tokens)) return std::nullopt;
  Page& page = at(found->second);
  if (page.references == 0) {
    unlink(found->second);
    ++used_;
  }
  ++page.references;
  return found->second;
}

bool PagePool::consistent() const {
  int used = 0;
  std::size_t published = 0;
  for (const Page& page : pages_) {
    if (page.references < 0) return false;
    if (page.references > 0) ++used;
    if (page.published) ++published;
  }
  const auto length = [&](const List& list) {
    int n = 0;
    for (std::int32_t id = list.first; id != kNoPage && n <= n_pages(); ++n) {
      id = pages_[static_cast<std::size_t>(id)].next;
    }
    return n;
  };
  return used == used_ && published == table_.size() && length(cached_list_) == cached_ &&
         length(blank_list_) + length(cached_list_) + used == n_pages();
}

}  // namespace colonnade::coordinator
