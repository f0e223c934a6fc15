// Who gets KV pages: admission, growth, giving back.
#include <algorithm>

#include "coordinator/scheduler.h"

namespace colonnade::coordinator {

void Scheduler::admit() {
  if (!look_again_) return;
  look_again_ = false;
  std::vector<Sequence*> passed;  // do not fit now
  for (auto next = waiting_.begin(); next != waiting_.end();) {
    Sequence& sequence = *next->second;
    ++next;
    if (n_running() >= limits_.max_running) break;
    if (sequence.awaiting) continue;  // interrupted; a step in flight still answers it
    if (try_admit(sequence)) {
      for (Sequence* other : passed) ++other->overtaken;
      continue;
    }
    // Also bounds how many are looked at: whoever is not admitted may be overtaken no more than that.
    passed.push_back(&sequence);
    if (sequence.overtaken >= kMaxOvertakes || static_cast<int>(passed.size()) >= kMaxOvertakes) break;
  }
}

bool Scheduler::try_admit(Sequence& sequence) {
  const int reused = limits_.prefix_reuse ? find_prefix(sequence) : 0;
  const int needed = pages_for(sequence.n_tokens()) - reused;
  // Every running sequence will want another page before long; alone, a sequence may have them all.
  const int headroom = n_running();
  const bool window_fits = !windows() || prompt_quota(sequence) + window_headroom() <= limits_.n_window_pages - window_quotas_;
  if (pool_.available() < needed + headroom || !window_fits) {
    release_pages(sequence);
    return false;
  }
  if (windows()) set_quota(sequence, prompt_quota(sequence));
  for (int i = 0; i < needed; ++i) {
    const auto page = pool_.allocate();
    COLONNADE_CHECK(page.has_value(), "the pool has fewer pages than it said");
    sequence.pages.push_back(*page);
  }
  sequence.scheduled = reused * limits_.page_tokens;
  sequence.admitted_before = true;
  counts_.reused_tokens += static_cast<std::uint64_t>(sequence.scheduled);
  waiting_.erase(sequence.id);
  const auto before = [](const Sequence* a, const Sequence* b) { return a->id < b->id; };
  running_.insert(std::lower_bound(running_.begin(), running_.end(), &sequence, before), &sequence);
  return true;
}

int Scheduler::find_prefix(Sequence& sequence) {
  // Positions whose output is wanted must be computed, and so must the last token.
  if (sequence.request.prompt_output != PromptOutput::kNone && sequence.prompt_asked < sequence.n_prompt) return 0;
  const auto page_tokens = static_cast<std::size_t>(limits_.page_tokens);
  const std::span<const std::int32_t> tokens = sequence.tokens;
  std::vector<PageHash> chain;
  PageHash last = sequence.chain;
  for (std::size_t end = page_tokens; end < tokens.size(); end += page_tokens) {
    const auto content = tokens.subspan(end - page_tokens, page_tokens);
    last = pool_.chain(last, content);
    const auto page = pool_.find(last, content);
    if (!page) break;
    sequence.pages.push_back(*page);
    chain.push_back(last);
  }
  sequence.known = static_cast<int>(chain.size());
  if (windows()) find_window(sequence, chain);
  sequence.published = static_cast<int>(sequence.pages.size());
  if (sequence.published > 0) sequence.chain = chain[sequence.pages.size() - 1];
  return sequence.published;
}

void Scheduler::release_pages(Sequence& sequence) {
  // The last page first: of what is kept for reuse, beginnings are worth more than ends.
  while (!sequence.pages.empty()) {
    pool_.release(sequence.pages.back());
    sequence.pages.pop_back();
  }
  release_window(sequence);
  sequence.scheduled = 0;
  sequence.published = 0;
  sequence.known = 0;
  sequence.chain = pool_.root();
}

void Scheduler::preempt(Sequence& sequence) {
  release_pages(sequence);
  std::erase(running_, &sequence);
  waiting_.emplace(sequence.id, &sequence);
  ++counts_.preemptions;
  look_again_ = true;
}

bool Scheduler::preempt_for(const Sequence& sequence) {
  Sequence& latest = *running_.back();
  preempt(latest);
  return &latest != &sequence;
}

bool Scheduler::grow(Sequence& sequence) {
  while (static_cast<int>(sequence.pages.size()) < pages_for(sequence.scheduled + 1)) {
    if (const auto page = pool_.allocate()) {
      sequence.pages.push_back(*page);
    } else if (!preempt_for(sequence)) {
      return false;
    }
  }
  return !windows() || grow_window(sequence);
}

void Scheduler::publish_pages(Sequence& sequence) {
  const auto page_tokens = static_cast<std::size_t>(limits_.page_tokens);
  while ((sequence.published + 1) * limits_.page_tokens <= sequence.scheduled) {
    const auto page = static_cast<std::size_t>(sequence.published);
    const auto content = std::span<const std::int32_t>(sequence.tokens).subspan(page * page_tokens, page_tokens);
    sequence.chain = pool_.chain(sequence.chain, content);
    pool_.publish(sequence.pages[page], sequence.chain, content);
    const int of_window = sequence.published - sequence.window_start;
    if (of_window >= 0 && of_window < static_cast<int>(sequence.window_pages.size()))
      window_pool_.publish(sequence.window_pages[static_cast<std::size_t>(of_window)], sequence.chain, content);
    ++sequence.published;
  }
}

}  // namespace colonnade::coordinator
