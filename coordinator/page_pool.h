// KV pages as the coordinator counts them: ids 0 … n-1 with reference counts, and a table from content to page so
// that equal beginnings of sequences can share pages. What a page holds lives with the workers; this is bookkeeping.
//
// A page whose count falls to zero is free at once. If its content was published it is also kept in the table, in
// least-recently-used order, until its room is needed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

namespace colonnade::coordinator {

/// Content of a page and of everything before it: a chain hash of (parent, tokens of the page). 128 bits, begun from
/// a number that is random for each pool, so that nobody can prepare two texts with the same hash.
struct PageHash {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  bool operator==(const PageHash&) const = default;
};

/// Not thread-safe: belongs to the scheduler's thread.
class PagePool {
 public:
  PagePool(int n_pages, int page_tokens, std::uint64_t hash_seed);

  int n_pages() const { return static_cast<int>(pages_.size()); }
  int page_tokens() const { return page_tokens_; }
  int used() const { return used_; }                   // count > 0
  int available() const { return n_pages() - used_; }  // what allocate() can still give
  int cached() const { return cached_; }               // available, but with content that find() may give
  int references(std::int32_t page) const { return pages_[static_cast<std::size_t>(page)].references; }

  /// A page with count 1; nullopt when none is available. Takes pages without content first, then forgets the
  /// content that was used least recently.
  std::optional<std::int32_t> allocate();

  /// One reference more, for a page that has at least one.
  void retain(std::int32_t page);
  /// One reference less. Content that is then kept is forgotten last, or among the first where it is not `likely` to be found.
  void release(std::int32_t page, bool likely = true);

  PageHash root() const { return root_; }
  PageHash chain(PageHash parent, std::span<const std::int32_t> tokens) const;

  /// Makes a full page, count > 0, findable by its content. Of two pages with equal content the first stays.
  void publish(std::int32_t page, PageHash hash, std::span<const std::int32_t> tokens);

  /// Whether find() would give a page.
  bool holds(PageHash hash, std::span<const std::int32_t> tokens) const;

  /// The page with this content with one reference more; nullopt when there is none.
  std::optional<std::int32_t> find(PageHash hash, std::span<const std::int32_t> tokens);

  /// Counts again from scratch; false when the books are wrong. For tests.
  bool consistent() const;

 private:
  static constexpr std::int32_t kNoPage = -1;
  struct Page {
    int references = 0;
    bool published = false;
    PageHash hash;
    std::int32_t previous = kNoPage;  // in its list, when references == 0
    std::int32_t next = kNoPage;
  };
  struct List {
    std::int32_t first = kNoPage;
    std::int32_t last = kNoPage;
  };
  struct HashOfHash {
    std::size_t operator()(const PageHash& hash) const { return static_cast<std::size_t>(hash.low); }
  };

  Page& at(std::int32_t page);
  List& list_of(const Page& page) { return page.published ? cached_list_ : blank_list_; }
  void append(std::int32_t page);
  void prepend(std::int32_t page);
  void unlink(std::int32_t page);
  bool same_tokens(std::int32_t page, std::span<const std::int32_t> tokens) const;

  int page_tokens_;
  int used_ = 0;
  int cached_ = 0;
  PageHash root_;
  std::vector<Page> pages_;
  std::vector<std::int32_t> tokens_;  // (n_pages, page_tokens): of published pages
  List blank_list_;                   // no references, no content
  List cached_list_;                  // no references, content; least recently used first
  std::unordered_map<PageHash, std::int32_t, HashOfHash> table_;
};

}  // namespace colonnade::coordinator
