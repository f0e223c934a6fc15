#include "coordinator/cli/bench_tokenizer.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "coordinator/cli/tokenizer_file.h"
#include "engine/base/clock.h"
#include "engine/base/format_text.h"
#include "shard/mapped_file.h"

namespace colonnade::cli {
namespace {

constexpr std::uint64_t kMostTextBytes = std::uint64_t{1} << 30;

/// The shortest of several runs, in seconds; the first one only warms up.
template <typename Work>
double best_seconds(int repetitions, Work work) {
  double best = std::numeric_limits<double>::infinity();
  work();
  for (int i = 0; i < repetitions; ++i) {
    const double start = now_seconds();
    work();
    best = std::min(best, now_seconds() - start);
  }
  return best;
}

}  // namespace

Status bench_tokenizer(const std::string& model, const std::string& text_file, int repetitions) {
  if (model.empty() || text_file.empty()) {
    return Error{ErrorCode::kInvalidArgument, "bench tokenizer: expected a model and a text file, found one of them missing"};
  }
  const double start = now_seconds();
  COLONNADE_ASSIGN(const auto tokenizer, open_tokenizer(model));
  const double load_seconds = now_seconds() - start;
  COLONNADE_ASSIGN(const std::string content, shard::read_small_file(text_file, kMostTextBytes));
  if (content.empty()) {
    return Error{ErrorCode::kInvalidArgument, text(text_file, ": expected text, found an empty file")};
  }
  std::vector<std::int32_t> tokens;
  std::string decoded;
  const double encode_seconds = best_seconds(
      repetitions, [&] { tokens = tokenizer->encode(content, engine::SpecialTokens::kPlain, false); });
  const double decode_seconds = best_seconds(repetitions, [&] { decoded = tokenizer->decode(tokens, false); });
  const double megabytes = static_cast<double>(content.size()) / 1e6;
  std::printf("| tokenizer | text | tokens | bytes/token | encode | decode | loading | comes back |\n"
              "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n"
              "| %s | %.2f MB | %zu | %.2f | %.1f MB/s | %.1f MB/s | %.0f ms | %s |\n",
              model.c_str(), megabytes, tokens.size(), static_cast<double>(content.size()) / static_cast<double>(tokens.size()),
              megabytes / encode_seconds, megabytes / decode_seconds, load_seconds * 1e3,
              decoded == content ? "same" : "differs");
  return {};
}

}  // namespace colonnade::cli
