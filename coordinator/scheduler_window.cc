// Pages of layers with windows, where those have a pool of their own: quotas, prefixes, giving back what the window has left.
#include <algorithm>

#include "coordinator/scheduler.h"
#include "engine/base/check.h"
#include "engine/base/page_window.h"

namespace colonnade::coordinator {

int Scheduler::first_window_page(int position) const {
  return colonnade::first_window_page(position, limits_.window_tokens, limits_.page_tokens);
}

int Scheduler::window_step_pages(int n_tokens) const {
  return colonnade::window_step_pages(n_tokens, limits_.window_tokens, limits_.page_tokens);
}

/// What the longest step of what it has to compute needs.
int Scheduler::prompt_quota(const Sequence& sequence) const {
  return std::min(pages_for(sequence.n_tokens()), window_step_pages(std::min(sequence.n_tokens(), limits_.max_step_tokens)));
}

/// Running sequences that will want another page before long: those whose contexts have not filled the window.
int Scheduler::window_headroom() const {
  const int most = window_step_pages(1);
  return static_cast<int>(std::count_if(running_.begin(), running_.end(), [&](const Sequence* s) { return s->window_quota < most; }));
}

void Scheduler::set_quota(Sequence& sequence, int quota) {
  if (quota < sequence.window_quota) look_again_ = true;
  window_quotas_ += quota - sequence.window_quota;
  sequence.window_quota = quota;
}

/// A prefix is of use as far as the pages are there that its end looks back on: the longest such one. `chain` are the hashes
/// of sequence.pages.
void Scheduler::find_window(Sequence& sequence, std::span<const PageHash> chain) {
  const auto page_tokens = static_cast<std::size_t>(limits_.page_tokens);
  const auto content = [&](std::size_t page) {
    return std::span<const std::int32_t>(sequence.tokens).subspan(page * page_tokens, page_tokens);
  };
  const auto first_of = [&](std::size_t n_pages) {
    return static_cast<std::size_t>(first_window_page(static_cast<int>(n_pages * page_tokens)));
  };
  std::size_t usable = 0;
  for (std::size_t page = 0, held = 0; page < chain.size(); ++page) {  // `held` pages before `page` are all there
    held = window_pool_.holds(chain[page], content(page)) ? held + 1 : 0;
    if (held >= page + 1 - first_of(page + 1)) usable = page + 1;
  }
  while (sequence.pages.size() > usable) {
    pool_.release(sequence.pages.back());
    sequence.pages.pop_back();
  }
  sequence.window_start = static_cast<int>(first_of(usable));
  for (std::size_t page = first_of(usable); page < usable; ++page) {
    const auto found = window_pool_.find(chain[page], content(page));
    COLONNADE_CHECK(found.has_value(), "a page of a window is gone that was there");
    sequence.window_pages.push_back(*found);
  }
}

/// Gives back what a token at `position` and those after it do not see. Where others begin alike, what the window held at the
/// end of that beginning is likely to be wanted again; what it held anywhere else is not.
void Scheduler::leave_window(Sequence& sequence, int position) {
  const int first = first_window_page(position);
  const int branch = first_window_page(sequence.known * limits_.page_tokens);
  int left = 0;
  for (; sequence.window_start < first && left < static_cast<int>(sequence.window_pages.size()); ++left, ++sequence.window_start) {
    const bool likely = sequence.window_start >= branch && sequence.window_start < sequence.known;
    window_pool_.release(sequence.window_pages[static_cast<std::size_t>(left)], likely);
  }
  sequence.window_pages.erase(sequence.window_pages.begin(), sequence.window_pages.begin() + left);
  if (sequence.window_pages.empty()) sequence.window_start = std::max(sequence.window_start, first);
}

/// Before a step with positions up to `end`: within the quota, so the pages are there.
void Scheduler::slide_window(Sequence& sequence, int end) {
  leave_window(sequence, sequence.scheduled);
  while (sequence.window_start + static_cast<int>(sequence.window_pages.size()) < pages_for(end)) {
    COLONNADE_CHECK(static_cast<int>(sequence.window_pages.size()) < sequence.window_quota, "more pages of a window than its quota");
    const auto page = window_pool_.allocate();
    COLONNADE_CHECK(page.has_value(), "quotas exceed the pool of windows");
    sequence.window_pages.push_back(*page);
  }
}

/// A sequence that generates has what it holds as its quota, and asks for one more where it needs one.
bool Scheduler::grow_window(Sequence& sequence) {
  leave_window(sequence, sequence.scheduled);
  const int needed = pages_for(sequence.scheduled + 1) - sequence.window_start;
  while (needed > sequence.window_quota && window_quotas_ + needed - sequence.window_quota > limits_.n_window_pages)
    if (!preempt_for(sequence)) return false;
  set_quota(sequence, needed);
  return true;
}

void Scheduler::release_window(Sequence& sequence) {
  while (!sequence.window_pages.empty()) {
    window_pool_.release(sequence.window_pages.back());
    sequence.window_pages.pop_back();
  }
  sequence.window_start = 0;
  set_quota(sequence, 0);
}

}  // namespace colonnade::coordinator
