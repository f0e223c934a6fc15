#include "engine/text/tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/format_text.h"
#include "engine/text/tokenizer/regex_syntax.h"

namespace colonnade::engine {
namespace {

// Almost every match of a pre-tokenizer is found within this many bytes. A longer one is found in a window that grows;
// so what an attempt may read without being counted is bounded, whatever the pattern.
constexpr std::size_t kFirstWindow = 512;
constexpr std::size_t kWindowGrowth = 8;
constexpr std::uint32_t kFirstMatchLimit = 20'000;
constexpr std::uint32_t kLastMatchLimit = 20'480'000;
constexpr std::uint32_t kMatchLimitGrowth = 32;
constexpr std::uint64_t kWorkPerByte = 64;
constexpr std::uint64_t kFreeWork = 1 << 20;
constexpr std::size_t kMostPatternBytes = 64 * 1024;
constexpr std::size_t kJitStackBytes = 1 << 20;

/// What a call of pcre2_match needs, one for each thread.
struct Scratch {
  Scratch()
      : match(pcre2_match_data_create(1, nullptr)),
        context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(32 * 1024, kJitStackBytes, nullptr)) {
    COLONNADE_CHECK(match != nullptr && context != nullptr, "memory for matching");
    pcre2_set_heap_limit(context, 16 * 1024);  // KiB; where there is no JIT
    if (stack != nullptr) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~Scratch() {
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    if (stack != nullptr) pcre2_jit_stack_free(stack);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  pcre2_match_data* match;
  pcre2_match_context* context;
  pcre2_jit_stack* stack;
};

bool continues_character(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

/// The search for one match after another in one text.
class Search {
 public:
  Search(const pcre2_code* code, std::string_view text, Scratch& scratch)
      : code_(code), text_(text), scratch_(scratch), work_left_(kFreeWork + kWorkPerByte * text.size()) {
    set_limit(kFirstMatchLimit);
  }

  /// The first match at `from` or behind.
  bool find(std::size_t from, RegexMatch& found) {
    std::size_t window = kFirstWindow;
    if (limit_ != kFirstMatchLimit) set_limit(kFirstMatchLimit);
    for (;;) {
      std::size_t end = std::min(text_.size(), from + window);
      while (continues_character(text_, end)) ++end;
      const bool to_the_end = end == text_.size();
      const int status = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text_.data()), end, from,
                                     PCRE2_NO_UTF_CHECK | (to_the_end ? 0 : PCRE2_PARTIAL_HARD), scratch_.match,
                                     scratch_.context);
      const PCRE2_SIZE* place = pcre2_get_ovector_pointer(scratch_.match);
      if (status >= 0) {
        found = {place[0], place[1]};
        return found.begin >= from && found.end >= found.begin;
      }
      if (status == PCRE2_ERROR_NOMATCH) {
        if (to_the_end) return false;
        from = end;  // no attempt before it came as far as the end of the window
      } else if (status == PCRE2_ERROR_PARTIAL) {
        from = std::max(from, place[0]);
        if (!charge(window)) return false;
        window *= kWindowGrowth;
      } else if (status == PCRE2_ERROR_MATCHLIMIT) {
        if (limit_ >= kLastMatchLimit || !charge(limit_)) return false;
        set_limit(limit_ * kMatchLimitGrowth);
      } else {
        return false;  // the stack or the heap is used up
      }
    }
  }

 private:
  bool charge(std::uint64_t work) {
    const bool enough = work <= work_left_;
    work_left_ -= enough ? work : work_left_;
    return enough;
  }
  void set_limit(std::uint32_t limit) {
    limit_ = limit;
    pcre2_set_match_limit(scratch_.context, limit);
  }

  const pcre2_code* code_;
  std::string_view text_;
  Scratch& scratch_;
  std::uint64_t work_left_;
  std::uint32_t limit_ = 0;
};

}  // namespace

struct Regex::Code {
  explicit Code(pcre2_code* code) : value(code) {}
  ~Code() { pcre2_code_free(value); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  pcre2_code* value;
};

Regex::Regex(std::unique_ptr<Code> code) : code_(std::move(code)) {}
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;
Regex::~Regex() = default;

Result<Regex> Regex::compile(std::string_view pattern, RegexDialect dialect) {
  if (pattern.size() > kMostPatternBytes) {
    return Error{ErrorCode::kUnsupported, text("a pattern may have ", kMostPatternBytes, " bytes, found ", pattern.size())};
  }
  COLONNADE_ASSIGN(const std::string translated, to_pcre_syntax(pattern, dialect));
  std::uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  options |= dialect == RegexDialect::kOniguruma ? PCRE2_MULTILINE : PCRE2_DOLLAR_ENDONLY;
  const std::unique_ptr<pcre2_compile_context, void (*)(pcre2_compile_context*)> context(
      pcre2_compile_context_create(nullptr), pcre2_compile_context_free);
  COLONNADE_CHECK(context != nullptr, "memory for compiling a pattern");
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE place = 0;
  pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(), options, &error,
                                   &place, context.get());
  if (code == nullptr) {
    char message[128] = {};
    pcre2_get_error_message(error, reinterpret_cast<PCRE2_UCHAR*>(message), sizeof message);
    std::string shown(pattern.substr(0, 60));
    if (shown.size() < pattern.size()) shown += "…";
    return Error{ErrorCode::kUnsupported, text("pattern \"", shown, "\": ", message)};
  }
  auto owner = std::make_unique<Code>(code);
  // Without JIT (some processors) matching is slower, not different.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
  return Regex(std::move(owner));
}

void Regex::find_all(std::string_view text, std::vector<RegexMatch>& matches) const {
  thread_local Scratch scratch;
  Search search(code_->value, text, scratch);
  std::size_t from = 0;
  std::size_t last_end = std::string_view::npos;
  while (from <= text.size()) {
    RegexMatch match{};
    if (!search.find(from, match)) return;
    if (match.begin == match.end && match.end == last_end) {
      ++from;
      while (continues_character(text, from)) ++from;
      continue;
    }
    matches.push_back(match);
    from = last_end = match.end;
  }
}

}  // namespace colonnade::engine
