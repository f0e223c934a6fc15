// One request on its way: what the scheduler knows about it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "coordinator/generator.h"
#include "coordinator/logit_edits.h"
#include "coordinator/page_pool.h"

namespace colonnade::coordinator {

struct Sequence {
  Sequence(GenerationId sequence_id, GenerationRequest sequence_request, GenerationCallbacks sequence_callbacks)
      : id(sequence_id),
        request(std::move(sequence_request)),
        callbacks(std::move(sequence_callbacks)),
        tokens(request.prompt),
        n_prompt(static_cast<int>(tokens.size())),
        edits(request),
        constraint(request.constraint && generates() ? request.constraint->start() : nullptr) {}

  GenerationId id;  // also the order of arrival
  GenerationRequest request;
  GenerationCallbacks callbacks;
  std::vector<std::int32_t> tokens;  // prompt, then what was generated
  int n_prompt;
  LogitEdits edits;
  std::unique_ptr<TokenConstraint> constraint;  // has seen all generated tokens
  std::vector<std::uint32_t> mask;              // with a constraint: what the next token may be

  std::vector<std::int32_t> pages;  // page table; empty while waiting
  // Of layers with windows, where those have pages of their own: without what lies before the window.
  std::vector<std::int32_t> window_pages;
  int window_start = 0;             // what page of the sequence the first of them is
  int window_quota = 0;             // it may have this many at once
  int scheduled = 0;                // positions [0, scheduled) are in the pages or in steps in flight
  bool awaiting = false;            // a step in flight answers for the last known token
  int prompt_asked = 0;             // output of prompt positions [0, prompt_asked) came or is in flight
  std::uint64_t last_step = 0;
  int overtaken = 0;                // later requests that were admitted past this one
  bool admitted_before = false;

  // Content of the full pages, for reuse.
  int published = 0;  // pages [0, published) are in the table
  PageHash chain;     // of the last of them
  int known = 0;      // pages [0, known) were in the table when it was admitted: others begin like this

  int n_tokens() const { return static_cast<int>(tokens.size()); }
  int n_generated() const { return n_tokens() - n_prompt; }
  int remaining() const { return n_tokens() - scheduled; }  // known tokens that no step has had yet
  bool generates() const { return request.max_tokens > 0; }
};

}  // namespace colonnade::coordinator
