// Layers with windows that keep only the pages their windows need give the bits of those that keep all.
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>
#include <span>

#include "engine/base/page_window.h"
#include "engine/model/window_pages.h"
#include "shard/known_shapes.h"
#include "shard/plan_bytes.h"
#include "tests/support/golden.h"
#include "tests/support/shared_data.h"

using namespace colonnade;
using namespace colonnade::tests;
using engine::FormatId;
using engine::KvType;

namespace {

constexpr int kWindow = 40;       // one page and a part of another
constexpr int kLongest = 300;
constexpr int kStepTokens = 48;

/// A golden's weights with another window and a longer context.
const PackedModel& windowed_model(const std::string& name) {
  static const std::filesystem::path scratch = scratch_folder();
  const auto folder = scratch / ("window_" + name);
  if (!std::filesystem::exists(folder)) {
    std::filesystem::copy(source_folder() / "tests/data/golden" / name, folder, std::filesystem::copy_options::recursive);
    Json config = read_json(folder / "config.json");
    Json& of_text = config.contains("text_config") ? config["text_config"] : config;
    of_text["max_position_embeddings"] = 512;
    of_text[of_text.contains("attention_chunk_size") ? "attention_chunk_size" : "sliding_window"] = kWindow;
    std::ofstream(folder / "config.json") << config.dump();
  }
  return packed_model(folder, FormatId::kBf16);
}

/// A sequence on its way, and its pages as a scheduler would hand them out.
struct Running {
  std::vector<std::int32_t> tokens;
  int done = 0;
  int first_page = 0;
  std::vector<int> window_pages;
  int window_start = 0;
  std::vector<float> logits;
};

/// Pages in no order, so that what is given back is soon somebody else's.
class Pages {
 public:
  Pages(int count, std::mt19937& random) : random_(random) {
    for (int page = 0; page < count; ++page) free_.push_back(page);
  }
  int take() {
    REQUIRE_FALSE(free_.empty());
    std::swap(free_[random_() % free_.size()], free_.back());
    const int page = free_.back();
    free_.pop_back();
    return page;
  }
  void give(int page) { free_.push_back(page); }

 private:
  std::mt19937& random_;
  std::vector<int> free_;
};

void slide(Running& sequence, int end, Pages& pool) {
  const int first = first_window_page(sequence.done, kWindow, engine::kPageTokens);
  for (; sequence.window_start < first; ++sequence.window_start) {
    pool.give(sequence.window_pages.front());
    sequence.window_pages.erase(sequence.window_pages.begin());
  }
  while ((sequence.window_start + static_cast<int>(sequence.window_pages.size())) * engine::kPageTokens < end)
    sequence.window_pages.push_back(pool.take());
  REQUIRE(static_cast<int>(sequence.window_pages.size()) <= window_step_pages(end - sequence.done, kWindow, engine::kPageTokens));
}

void add_windowed(engine::Step& step, const Running& sequence, int count) {
  add_sequence(step, sequence.tokens, sequence.done, count, sequence.first_page);
  engine::StepSequence& added = step.sequences.back();
  added.first_window_page = static_cast<std::int32_t>(step.pages.size());
  added.n_window_pages = static_cast<std::int32_t>(sequence.window_pages.size());
  added.window_start = sequence.window_start;
  step.pages.insert(step.pages.end(), sequence.window_pages.begin(), sequence.window_pages.end());
}

std::vector<std::int32_t> some_text(std::mt19937& random, int n_tokens) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < n_tokens; ++i) tokens.push_back(static_cast<std::int32_t>(random() % 128));
  return tokens;
}

/// Several sequences in random chunks over pools of which the windows' is a fraction.
void check_mix(const PackedModel& packed, int n_ranks, int n_stages, KvType kv, unsigned seed) {
  std::mt19937 random(seed);
  worker::LocalRanksOptions options;
  options.kv_type = kv;
  options.max_step_tokens = 512;
  TestJob keeps(packed, n_ranks, n_stages, options);
  constexpr int kSequences = 3, kPagesEach = (kLongest + engine::kPageTokens - 1) / engine::kPageTokens;
  options.n_pages = kSequences * kPagesEach;
  options.n_window_pages = kSequences * window_step_pages(kStepTokens / kSequences, kWindow, engine::kPageTokens);
  REQUIRE(options.n_window_pages < options.n_pages / 2);
  TestJob frees(packed, n_ranks, n_stages, options);
  Pages pool(options.n_window_pages, random);
  std::vector<Running> running(kSequences);
  for (int i = 0; i < kSequences; ++i) {
    running[static_cast<std::size_t>(i)].tokens = some_text(random, kLongest - static_cast<int>(random() % 150));
    running[static_cast<std::size_t>(i)].first_page = i * kPagesEach;
  }
  for (bool any = true; any;) {
    any = false;
    engine::Step step;
    std::vector<std::pair<Running*, int>> taken;
    for (Running& sequence : running) {
      const int left = static_cast<int>(sequence.tokens.size()) - sequence.done;
      any = any || left > 0;
      const int most = random() % 3 == 0 ? 1 : kStepTokens / kSequences;
      const int count = std::min(left, static_cast<int>(random() % static_cast<unsigned>(most + 1)));
      if (count == 0) continue;
      slide(sequence, sequence.done + count, pool);
      add_windowed(step, sequence, count);
      taken.emplace_back(&sequence, count);
    }
    if (taken.empty()) continue;
    const engine::StepResult result = frees.run(step);
    const std::size_t vocab = result.logits.size() / step.tokens.size();
    auto at = result.logits.begin();
    for (const auto& [sequence, count] : taken) {
      const auto end = at + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(count) * vocab);
      sequence->logits.insert(sequence->logits.end(), at, end);
      sequence->done += count;
      at = end;
    }
  }
  for (const Running& sequence : running) CHECK(sequence.logits == keeps.logits(sequence.tokens, 100));
}

}  // namespace

TEST_CASE("random mixes of requests give the same bits whether the pages before a window are kept or not") {
  unsigned seed = 1;
  for (const char* name : {"gemma2", "gemma3", "gpt_oss", "llama4", "mistral"}) {
    for (const KvType kv : {KvType::kF32, KvType::kBf16, KvType::kInt8}) {
      for (const auto& [n_ranks, n_stages] : {std::pair(1, 1), {3, 1}, {2, 2}}) {
        if (n_ranks > 1 && kv == KvType::kBf16) continue;
        CAPTURE(name, static_cast<int>(kv), n_ranks, n_stages);
        check_mix(windowed_model(name), n_ranks, n_stages, kv, seed++);
      }
    }
  }
}

TEST_CASE("a step whose table for windows does not cover what its tokens see is refused") {
  worker::LocalRanksOptions options;
  options.n_pages = 16;
  options.n_window_pages = 4;
  const PackedModel& packed = windowed_model("mistral");
  shard::PlanOptions plan_options;
  auto plan = shard::make_plan(packed.manifest.config, packed.manifest.paths, std::vector<shard::RankMachine>(1), plan_options);
  REQUIRE(plan.ok());
  auto ranks = worker::LocalRanks::start(packed.manifest, *plan, worker::slices_of(packed.manifest, packed.directory), options);
  REQUIRE(ranks.ok());
  Running sequence;
  sequence.tokens.assign(200, 3);
  sequence.done = 130;  // sees 91 to 139: pages 2 to 4
  const auto run = [&](int start, std::vector<int> pages) {
    sequence.window_start = start;
    sequence.window_pages = std::move(pages);
    engine::Step step;
    add_windowed(step, sequence, 10);
    engine::StepResult result;
    const Status status = (*ranks)->run(step, result);
    return status.ok() ? std::string() : status.error().message;
  };
  CHECK(run(2, {0, 1, 2}).empty());
  CHECK(run(3, {1, 2}) == "step: windows of positions 130 to 139 need pages 2 to 4, found 3 to 4");
  CHECK(run(2, {0, 1}) == "step: windows of positions 130 to 139 need pages 2 to 4, found 2 to 3");
  CHECK(run(-1, {0, 1, 2}) == "step: windows of positions 130 to 139 need pages 2 to 4, found -1 to 1");
  CHECK(run(2, {0, 1, 4}) == "step: page 4 is outside of the pool of 4 for windows");
}

TEST_CASE("a cache of windows is as small as plans and pools say") {
  auto config = shard::known_shape("gpt-oss-20b");
  REQUIRE(config.ok());
  shard::PlanOptions options;
  options.kv_tokens = 32768;
  const auto bytes = shard::kv_head_bytes(*config, options);
  const std::uint64_t page = 2 * 64 * 32 * 2;  // keys and values of 64 in bf16
  // 16 conversations with windows of 128 tokens in 5 pages each, and a step of 512 tokens.
  CHECK(engine::window_pages(*config, 1024, 512) == 16 * 5 + 21);
  CHECK(bytes[0] == page * 101);
  CHECK(bytes[1] == page * 1024);
  // Where little would be saved all layers use the same pages.
  CHECK(engine::window_pages(*config, 32, 512) == 0);
}
